/**
 * What scenarios read in the messages of a transaction, as kafkajs 2.2.4 and the platform's own requests encode them: none
 * of these versions is flexible (https://kafka.apache.org/protocol.html#protocol_messages).
 */
import { api, type KafkaFrame } from './contract.ts'

/** Length, correlation id. */
const answerBodyAt = 4 + 4
const throttleBytes = 4

/** Whether a request EndTxn asks for a commit: that is its last byte. */
export const asksForCommit = ({ bytes }: KafkaFrame): boolean => bytes[bytes.length - 1] === 1

/** The first error code of an answer to a request of a transaction; null for other answers. */
export function errorCodeOf({ apiKey, bytes }: KafkaFrame): number | null {
  switch (apiKey) {
    case api.initProducerId:
    case api.addOffsetsToTxn:
    case api.endTxn:
      return bytes.readInt16BE(answerBodyAt + throttleBytes)
    case api.addPartitionsToTxn:
    case api.txnOffsetCommit:
      return firstPartitionError(bytes, answerBodyAt + throttleBytes)
    case api.produce:
      return firstPartitionError(bytes, answerBodyAt)
    default:
      return null
  }
}

/** An array of topics, each a name and an array of partitions, each a number and an error code. */
function firstPartitionError(bytes: Buffer, at: number): number | null {
  const countBytes = 4
  if (bytes.readInt32BE(at) < 1) return null
  const nameBytes = 2 + bytes.readInt16BE(at + countBytes)
  const partitionsAt = at + countBytes + nameBytes
  return bytes.readInt32BE(partitionsAt) < 1 ? null : bytes.readInt16BE(partitionsAt + countBytes + 4)
}

/** INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: another producer has the transactional id now. */
export const isFencing = (code: number | null): boolean => code === 47 || code === 90
