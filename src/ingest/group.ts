import { recordLeaf, undecodableLeaf } from '../domain/leaf.ts'
import type { Decoded, LogEntry, Offset, SourceRecords } from '../domain/model.ts'
import { offset } from '../domain/model.ts'
import type { SourcePart } from '../ports.ts'

/** Verdict over one source record; `headers` decides about REPLAYED before the value is looked at. */
export type RecordDecoder = (records: SourceRecords, index: number) => Decoded

/** Entries on their way into one transaction. */
export interface Group {
  readonly entries: LogEntry[]
  /** Key, value and header bytes held by the entries, unpacked. */
  bytes: number
  /** First source offset after the group. */
  nextOffset: Offset
  leaderEpoch: number
  /** When its first record was decoded, by `performance.now()`. */
  startedMs: number
}

export const emptyGroup = (nextOffset: Offset, leaderEpoch: number): Group => ({
  entries: [],
  bytes: 0,
  nextOffset,
  leaderEpoch,
  startedMs: performance.now(),
})

/** Records decoded before the event loop gets a turn: 512 take some 4 ms, well under a heartbeat. */
const recordsPerTurn = 512

/**
 * Decodes one part of a fetched batch into groups, in order. Yields each time that the group may be cut: after every
 * `recordsPerTurn` records, so that the caller can flush a full group and let other work run.
 */
export function* decodePart(part: SourcePart, group: () => Group, decode: RecordDecoder): Generator<void> {
  if (part.kind === 'undecodable') {
    const target = group()
    target.entries.push({ kind: 'undecodable', batch: part.batch, leaf: undecodableLeaf(part.batch) })
    target.bytes += part.batch.bytes.length
    target.nextOffset = offset(part.batch.lastOffset + 1n)
    yield
    return
  }
  const { records } = part
  for (let first = 0; first < records.count; first += recordsPerTurn) {
    decodeSlice(records, first, Math.min(first + recordsPerTurn, records.count), group(), decode)
    yield
  }
}

function decodeSlice(
  records: SourceRecords,
  first: number,
  end: number,
  group: Group,
  decode: RecordDecoder,
): void {
  if (group.entries.length === 0) group.startedMs = performance.now()
  for (let index = first; index < end; index++) {
    const leaf = recordLeaf(records, index)
    group.entries.push({ kind: 'record', records, index, decoded: decode(records, index), leaf })
    group.bytes += bytesOf(records, index)
  }
  group.nextOffset = offset((records.offsets[end - 1] ?? 0n) + 1n)
}

function bytesOf(records: SourceRecords, index: number): number {
  const key = (records.keyEnds[index] ?? 0) - (records.keyStarts[index] ?? 0)
  const value = (records.valueEnds[index] ?? 0) - (records.valueStarts[index] ?? 0)
  const headers = (records.headerEnds[index] ?? 0) - (records.headerStarts[index] ?? 0)
  return Math.max(key, 0) + Math.max(value, 0) + headers
}
