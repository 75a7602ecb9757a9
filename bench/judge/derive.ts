/** What must follow from the bytes of a row, computed again with the platform's own specification. */
import { createDecoder } from '../../src/domain/decode.ts'
import { hashFromBytes } from '../../src/domain/hash.ts'
import { gapLeaf, recordLeaf, undecodableLeaf } from '../../src/domain/leaf.ts'
import type { Hash, Offset, SourceRecords } from '../../src/domain/model.ts'
import type { DeadLetterRow, EventRow, LogRow } from './logRows.ts'

/** The slow way through the schema; no limit, since the judge asks what the bytes say, not whether they were welcome. */
const decode = createDecoder({ maxValueBytes: Number.MAX_SAFE_INTEGER, fastPath: false })

/** The leaf of a row, out of nothing but its own bytes and offsets. */
export function leafOf(row: LogRow): Hash {
  if (row.kind === 'gap') return gapLeaf(row.offset as Offset, row.toOffset as Offset)
  if (row.kind === 'dead letter' && row.code === 'UNDECODABLE_BATCH')
    return undecodableLeaf({
      firstOffset: row.offset as Offset,
      lastOffset: row.lastOffset as Offset,
      timestamp: row.kafkaTimestamp,
      bytes: row.value ?? Buffer.alloc(0),
      detail: '',
    })
  return recordLeaf(asRecords(row), 0)
}

/** Columns of an event that are not what its value says; `value` when it is no event at all. */
export function wrongColumns(row: EventRow): string[] {
  const decoded = decode(row.value, 0, row.value.length)
  if (decoded.kind !== 'event') return [`value (${decoded.code})`]
  const pairs: readonly (readonly [name: string, stored: unknown, derived: unknown])[] = [
    ['id', row.id, decoded.id],
    ['type', row.type, decoded.type],
    ['source', row.source, decoded.source],
    ['tenant_id', row.tenantId, decoded.tenantId],
    ['event_time', row.eventTime, BigInt(decoded.timestampMs)],
    ['classification', row.classification, decoded.classification],
    ['policy_tags', row.policyTags.join('\0'), decoded.policyTags.join('\0')],
    ['content_hash', hashFromBytes(row.contentHash), decoded.contentHash],
  ]
  return pairs.filter(([, stored, derived]) => stored !== derived).map(([name]) => name)
}

/** Key, value and header bytes of a row, as the log counts them. */
export function bytesIn(row: LogRow): number {
  if (row.kind === 'gap') return 0
  if (row.kind === 'dead letter' && row.code === 'UNDECODABLE_BATCH') return row.value?.length ?? 0
  return (row.key?.length ?? 0) + (row.value?.length ?? 0) + row.headers.length
}

function asRecords(row: EventRow | DeadLetterRow): SourceRecords {
  const bytes = Buffer.concat([row.key ?? nothing, row.headers, row.value ?? nothing])
  const keyEnd = row.key?.length ?? 0
  const headersEnd = keyEnd + row.headers.length
  return {
    bytes,
    count: 1,
    offsets: BigInt64Array.of(row.offset),
    timestamps: BigInt64Array.of(row.kafkaTimestamp),
    keyStarts: Int32Array.of(row.key === null ? -1 : 0),
    keyEnds: Int32Array.of(row.key === null ? -1 : keyEnd),
    headerStarts: Int32Array.of(keyEnd),
    headerEnds: Int32Array.of(headersEnd),
    valueStarts: Int32Array.of(row.value === null ? -1 : headersEnd),
    valueEnds: Int32Array.of(row.value === null ? -1 : bytes.length),
  }
}

const nothing = Buffer.alloc(0)
