import type { Decoder } from '../domain/decode.ts'
import { MalformedHeadersError, readHeaders } from '../domain/headers.ts'
import type { Decoded, SourceRecords } from '../domain/model.ts'
import type { RecordDecoder } from './group.ts'

/** Every record that a replay produces carries this header. */
const replayHeader = 'replay-id'
const replayHeaderBytes = Buffer.from(replayHeader)

/** Wraps the decoder of values: what a replay produced is not taken in a second time (design §6, "Fidelity"). */
export function createRecordDecoder(decodeValue: Decoder): RecordDecoder {
  return (records: SourceRecords, index: number): Decoded => {
    if (isReplayed(records, index)) {
      return {
        kind: 'rejected',
        code: 'REPLAYED',
        detail: 'produced by a replay: it carries the header replay-id',
      }
    }
    return decodeValue(records.bytes, records.valueStarts[index] ?? -1, records.valueEnds[index] ?? -1)
  }
}

/** The headers' bytes are searched as they are; only a hit is worth parsing for. */
function isReplayed(records: SourceRecords, index: number): boolean {
  const from = records.headerStarts[index] ?? 0
  const to = records.headerEnds[index] ?? 0
  if (to - from <= replayHeaderBytes.length) return false
  if (!records.bytes.subarray(from, to).includes(replayHeaderBytes)) return false
  try {
    return readHeaders(records.bytes, from, to).some((header) => header.key === replayHeader)
  } catch (error) {
    if (error instanceof MalformedHeadersError) return false
    throw error
  }
}
