import type { LogEntry, LogId, Rejection } from '../domain/model.ts'
import type { CopyRows } from './copyRows.ts'

export const COPY_DEAD_LETTERS = `copy public.dead_letters (ingested_at, log_id, "offset", last_offset, leaf_index,
  kafka_timestamp, leaf_hash, code, detail, key, headers, value) from stdin (format binary)`

const FIELDS = 12
export const INGESTED_AT_IN_DEAD_LETTER = 6
const HEAD_BYTES = 2 + 12 + 8 + 4 * 12 + 36
const MAX_DETAIL_LENGTH = 1_000
const noHeaders = Buffer.of(0)

const int8 = (rows: CopyRows, value: bigint): void =>
  rows.int8(Number(value >> 32n), Number(BigInt.asIntN(32, value)))

/** One dead letter, byte for byte, with its reason. Gaps are none: they have a table of their own. */
export function encodeDeadLetter(
  rows: CopyRows,
  logId: LogId,
  entry: Exclude<LogEntry, { kind: 'gap' }>,
  leafIndex: bigint,
  reason: Rejection,
): void {
  const begin = (offset: bigint, lastOffset: bigint, timestamp: bigint): void => {
    rows.beginRow(FIELDS, HEAD_BYTES)
    rows.int8(0, 0)
    rows.int4(logId)
    int8(rows, offset)
    int8(rows, lastOffset)
    int8(rows, leafIndex)
    int8(rows, timestamp)
    rows.hash(entry.leaf)
    rows.text(reason.code)
    rows.text(storable(reason.detail))
  }
  if (entry.kind === 'undecodable') {
    const { firstOffset, lastOffset, timestamp, bytes } = entry.batch
    begin(firstOffset, lastOffset, timestamp)
    rows.null()
    rows.bytes(noHeaders, 0, noHeaders.length)
    rows.bytes(bytes, 0, bytes.length)
    return
  }
  const { records, index } = entry
  const offset = records.offsets[index] as bigint
  begin(offset, offset, records.timestamps[index] as bigint)
  const keyStart = records.keyStarts[index] as number
  if (keyStart < 0) rows.null()
  else rows.bytes(records.bytes, keyStart, records.keyEnds[index] as number)
  rows.bytes(records.bytes, records.headerStarts[index] as number, records.headerEnds[index] as number)
  const valueStart = records.valueStarts[index] as number
  if (valueStart < 0) rows.null()
  else rows.bytes(records.bytes, valueStart, records.valueEnds[index] as number)
}

/** A reason must never be what PostgreSQL refuses: no U+0000, no half of a surrogate pair, bounded. */
const storable = (detail: string): string =>
  detail.slice(0, MAX_DETAIL_LENGTH).replaceAll('\u0000', '\ufffd').toWellFormed()
