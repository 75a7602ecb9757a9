/** From the stored bytes of a row to its leaf, and to the columns that do not follow from them. */
import { gapLeaf, recordLeaf, undecodableLeaf } from '../leaf.ts'
import type { AcceptedEvent, Decoded, Hash, Offset, SourceRecords } from '../model.ts'
import { BATCH, standingOfCode, unprovenCodes } from './codeStanding.ts'
import { type RowSheet, rowKinds } from './rowSheet.ts'

/** Verdict over one record, as ingest comes to it. */
export type RecordVerdict = (records: SourceRecords, index: number) => Decoded

/** A row of events, as a view that is good until the visitor returns: nothing of it may be kept. */
export interface StoredEventRow {
  /** One record, at index 0. */
  readonly records: SourceRecords
  readonly offset: bigint
  readonly leafIndex: bigint
  readonly leafHash: Hash
  readonly ingestedMs: number
  /** Key, value and header bytes. */
  readonly bytes: number
  /** Names of the columns that say something else than `event`, with commas; null when none does. */
  difference(event: AcceptedEvent): string | null
}

export function addEvent(sheet: RowSheet, row: StoredEventRow, span: number, verdict: RecordVerdict): void {
  const { records, offset } = row
  const decoded = verdict(records, 0)
  sheet.add({
    kind: rowKinds.event,
    offset,
    end: offset + 1n,
    leafIndex: row.leafIndex,
    ingestedMs: row.ingestedMs,
    bytes: row.bytes,
    computed: recordLeaf(records, 0),
    stored: row.leafHash,
    difference: decoded.kind === 'event' ? row.difference(decoded) : `the verdict (${decoded.code})`,
    span,
  })
}

/** A row of dead_letters. */
export interface StoredDeadLetterRow {
  readonly records: SourceRecords
  readonly offset: bigint
  readonly lastOffset: bigint
  readonly leafIndex: bigint
  readonly leafHash: Hash
  readonly code: string
  /** For people; nothing proves it. */
  readonly detail: string
  readonly ingestedMs: number
  readonly bytes: number
}

/** A dead letter whose code says something about earlier events of the log. */
export interface ClaimedRepeat {
  /** Row of the sheet. */
  readonly row: number
  readonly id: string
  readonly offset: bigint
  readonly ingestedMs: number
  readonly contentHash: Hash
  readonly code: 'DUPLICATE_ID' | 'ID_CONFLICT'
}

export function addDeadLetter(
  sheet: RowSheet,
  row: StoredDeadLetterRow,
  verdict: RecordVerdict,
  repeats: ClaimedRepeat[],
): void {
  const isBatch = row.code === BATCH
  const computed = isBatch ? batchLeaf(row) : recordLeaf(row.records, 0)
  const other = computed === row.leafHash ? computed : isBatch ? recordLeaf(row.records, 0) : batchLeaf(row)
  // The leaf of a record, though the code says batch, or the other way round: the code was changed.
  const miscoded = computed !== row.leafHash && other === row.leafHash
  const difference = isBatch ? batchDifference(row) : codeDifference(sheet.count, row, verdict, repeats)
  sheet.add({
    kind: unprovenCodes.has(row.code) ? rowKinds.unproven : rowKinds.deadLetter,
    offset: row.offset,
    end: row.lastOffset + 1n,
    leafIndex: row.leafIndex,
    ingestedMs: row.ingestedMs,
    bytes: row.bytes,
    computed: miscoded ? other : computed,
    stored: row.leafHash,
    difference: miscoded ? 'code' : difference,
    span: -1,
  })
}

function batchLeaf(row: StoredDeadLetterRow): Hash {
  const { bytes, valueStarts, valueEnds, timestamps } = row.records
  const start = valueStarts[0] as number
  return undecodableLeaf({
    firstOffset: row.offset as Offset,
    lastOffset: row.lastOffset as Offset,
    timestamp: timestamps[0] as bigint,
    bytes: start < 0 ? Buffer.alloc(0) : bytes.subarray(start, valueEnds[0]),
    detail: '',
  })
}

/** A batch is kept whole; key and headers are not its own, and not part of its leaf. */
function batchDifference({ records }: StoredDeadLetterRow): string | null {
  if ((records.keyStarts[0] as number) >= 0) return 'key'
  const start = records.headerStarts[0] as number
  const empty = (records.headerEnds[0] as number) - start === 1 && records.bytes[start] === 0
  return empty ? null : 'headers'
}

function codeDifference(
  index: number,
  row: StoredDeadLetterRow,
  verdict: RecordVerdict,
  repeats: ClaimedRepeat[],
): string | null {
  if (row.lastOffset !== row.offset) return 'last_offset'
  const decoded = verdict(row.records, 0)
  const { code } = row
  if (standingOfCode(code, decoded) === 'contradicted') return 'code'
  if ((code === 'DUPLICATE_ID' || code === 'ID_CONFLICT') && decoded.kind === 'event') {
    const { id, contentHash } = decoded
    const { offset, ingestedMs } = row
    repeats.push({ row: index, id, offset, ingestedMs, contentHash, code })
  }
  return null
}

/** An event of the log with an id that a dead letter repeats. */
export interface EarlierEvent {
  readonly id: string
  readonly offset: bigint
  readonly contentHash: Hash
}

/**
 * Marks the rows whose code the log's earlier events do not bear out. Where events are gone with a detached day, from the offset
 * `goneFrom` on, one of them may have been the first: nothing proves it then, and nothing says otherwise.
 */
export function markUnfounded(
  sheet: RowSheet,
  repeats: readonly ClaimedRepeat[],
  earlier: readonly EarlierEvent[],
  goneFrom: bigint | null,
): void {
  for (const { row, id, offset, contentHash, code } of repeats) {
    const founded = earlier.some(
      (event) =>
        event.id === id &&
        event.offset < offset &&
        (event.contentHash === contentHash) === (code === 'DUPLICATE_ID'),
    )
    if (founded) continue
    if (goneFrom !== null && goneFrom < offset) sheet.kinds[row] = rowKinds.unproven
    else sheet.differences[row] = 'code'
  }
}

export interface StoredGapRow {
  readonly from: bigint
  readonly to: bigint
  readonly leafIndex: bigint
  readonly leafHash: Hash
  readonly ingestedMs: number
}

export function addGap(sheet: RowSheet, row: StoredGapRow): void {
  const { from, to } = row
  sheet.add({
    kind: rowKinds.gap,
    offset: from,
    end: to,
    leafIndex: row.leafIndex,
    ingestedMs: row.ingestedMs,
    bytes: 0,
    // A gap without offsets has no leaf: a CHECK keeps it out, as long as nobody takes that away.
    computed: from < to ? gapLeaf(from as Offset, to as Offset) : ('' as Hash),
    stored: row.leafHash,
    difference: null,
    span: -1,
  })
}
