import { type RecordBatchHeader, readBatchHeaders } from '../../src/kafka/record-batch-header.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'
import { BrokerSocket } from '../source/brokerSocket.ts'
import { api } from './contract.ts'

const silenceLimitMs = 10_000
const fetchBytes = 1 << 20
/** Fetch v4: the first one that reads batches of format 2. */
const version = 4

/** The record batches that a partition has, in order, those without records too. `address`: of its leader, directly. */
export async function storedBatches(
  address: string,
  { topic, partition }: { readonly topic: string; readonly partition: number },
  { start, end }: { readonly start: number; readonly end: number },
): Promise<RecordBatchHeader[]> {
  const at = address.lastIndexOf(':')
  const socket = await BrokerSocket.open(address.slice(0, at), Number(address.slice(at + 1)), silenceLimitMs)
  try {
    const batches: RecordBatchHeader[] = []
    for (let next = start; next < end; ) {
      const body = fetchBody(topic, partition, next)
      const found = readBatchHeaders(readRecords(await socket.request(api.fetch, version, [body])))
      const last = found.at(-1)
      if (last === undefined) throw new Error(`${topic}/${partition} has nothing at offset ${next}`)
      batches.push(...found)
      next = last.lastOffset + 1
    }
    return batches
  } finally {
    socket.close()
  }
}

function fetchBody(topic: string, partition: number, offset: number): Buffer {
  const place = Buffer.alloc(8)
  place.writeBigInt64BE(BigInt(offset))
  const consumer = -1
  const readUncommitted = 0
  return new WireWriter()
    .int32(consumer)
    .int32(0)
    .int32(1)
    .int32(fetchBytes)
    .int8(readUncommitted)
    .int32(1)
    .string(topic)
    .int32(1)
    .int32(partition)
    .raw(place)
    .int32(fetchBytes)
    .finish()
}

function readRecords(answer: Buffer): Buffer {
  const reader = new WireReader(answer)
  reader.int32() // throttle time
  const [records = Buffer.alloc(0)] = reader
    .array((topic) => {
      topic.string()
      return topic.array((partition) => {
        partition.int32()
        const errorCode = partition.int16()
        if (errorCode !== 0) throw new Error(`a fetch: error ${errorCode}`)
        partition.int64() // high watermark
        partition.int64() // last stable offset
        partition.array((aborted) => [aborted.int64(), aborted.int64()])
        return partition.raw(Math.max(0, partition.int32()))
      })
    })
    .flat()
  return records
}
