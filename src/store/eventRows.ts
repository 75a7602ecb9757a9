import type { AcceptedEvent, LogId, RecordEntry, SourceRecords } from '../domain/model.ts'
import type { CopyRows } from './copyRows.ts'
import { HIGH, halvesOf, highOf, LOW, lowOf } from './int8.ts'

/** Columns in the order of the encoded fields: fixed widths first, so that a row's head lies in one chunk. */
export const COPY_EVENTS = `copy public.events (ingested_at, log_id, "offset", leaf_index, event_time, kafka_timestamp, id,
  content_hash, leaf_hash, type, source, tenant_id, classification, policy_tags, key, headers, value)
  from stdin (format binary)`

const FIELDS = 17
/** From a row's start: field count, length of ingested_at. */
export const INGESTED_AT_IN_EVENT = 6
const HEAD_BYTES = 2 + 12 + 8 + 4 * 12 + 20 + 2 * 36

const hexDigits = new Uint8Array(128)
for (let i = 0; i < 10; i++) hexDigits[48 + i] = i
for (let i = 0; i < 6; i++) {
  hexDigits[97 + i] = 10 + i
  hexDigits[65 + i] = 10 + i
}

/** Writes the sixteen bytes of a uuid given as text with dashes. */
export function writeUuid(id: string, bytes: Buffer, at: number): void {
  for (let i = 0; i < 36; i++) {
    const code = id.charCodeAt(i)
    if (code === 45) continue
    bytes[at++] = ((hexDigits[code] as number) << 4) | (hexDigits[id.charCodeAt(++i)] as number)
  }
}

/** The parts of a batch that stay the same from record to record. */
export class EventRowEncoder {
  readonly #rows: CopyRows
  readonly #logId: LogId
  #records: SourceRecords | null = null
  #offsets: Int32Array = new Int32Array()
  #timestamps: Int32Array = new Int32Array()

  constructor(rows: CopyRows, logId: LogId) {
    this.#rows = rows
    this.#logId = logId
  }

  /** One row; `ids` holds the event's id at `idAt`. Ingestion time is stamped later (stampRows). */
  encode(entry: RecordEntry, event: AcceptedEvent, leafIndex: number, ids: Buffer, idAt: number): void {
    const { records, index } = entry
    if (records !== this.#records) this.#enter(records)
    const rows = this.#rows
    const offsets = this.#offsets
    const timestamps = this.#timestamps
    const at = 2 * index
    rows.beginRow(FIELDS, HEAD_BYTES)
    rows.int8(0, 0)
    rows.int4(this.#logId)
    rows.int8(offsets[at + HIGH] as number, offsets[at + LOW] as number)
    rows.int8(highOf(leafIndex), lowOf(leafIndex))
    rows.int8(highOf(event.timestampMs), lowOf(event.timestampMs))
    rows.int8(timestamps[at + HIGH] as number, timestamps[at + LOW] as number)
    rows.uuid(ids, idAt)
    rows.hash(event.contentHash)
    rows.hash(entry.leaf)
    rows.text(event.type)
    rows.text(event.source)
    if (event.tenantId === null) rows.null()
    else rows.text(event.tenantId)
    rows.text(event.classification)
    rows.textArray(event.policyTags)
    const keyStart = records.keyStarts[index] as number
    if (keyStart < 0) rows.null()
    else rows.bytes(records.bytes, keyStart, records.keyEnds[index] as number)
    rows.bytes(records.bytes, records.headerStarts[index] as number, records.headerEnds[index] as number)
    rows.bytes(records.bytes, records.valueStarts[index] as number, records.valueEnds[index] as number)
  }

  #enter(records: SourceRecords): void {
    this.#records = records
    this.#offsets = halvesOf(records.offsets)
    this.#timestamps = halvesOf(records.timestamps)
  }
}
