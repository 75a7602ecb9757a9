/** A row of events in binary COPY format, read in place: nothing is copied but two hashes. */
import type { AcceptedEvent, Hash, SourceRecords } from '../../domain/model.ts'
import type { StoredEventRow } from '../../domain/verification/deriveRow.ts'
import { direct } from '../bufferMethods.ts'
import { writeUuid } from '../eventRows.ts'
import { HIGH, halvesOf, LOW, millisecondsOf } from '../int8.ts'

/** What the view reads, in this order: fixed widths first. */
export const AUDIT_COLUMNS = `"offset", leaf_index, kafka_timestamp, ingested_at, event_time, id, content_hash, leaf_hash, type,
  source, tenant_id, classification, policy_tags, key, headers, value`

const LENGTH_BYTES = 4
const INT8_FIELD = 12
const UUID_BYTES = 16
/** Of the head of a one-dimensional array: dimensions, flag, element type, length, lower bound. */
const ARRAY_HEAD_BYTES = 20

const int32At = (bytes: Buffer, at: number): number =>
  ((bytes[at] as number) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number)

/** Mutable inside: one object for all rows of a page. */
interface OneRecord extends SourceRecords {
  bytes: Buffer
}

/** `enter` moves the view to a row; what it then says holds until the next call. */
export class EventRowView implements StoredEventRow {
  readonly records: OneRecord = {
    bytes: Buffer.alloc(0),
    count: 1,
    offsets: new BigInt64Array(1),
    timestamps: new BigInt64Array(1),
    keyStarts: new Int32Array(1),
    keyEnds: new Int32Array(1),
    valueStarts: new Int32Array(1),
    valueEnds: new Int32Array(1),
    headerStarts: new Int32Array(1),
    headerEnds: new Int32Array(1),
  }
  leafHash = '' as Hash
  ingestedMs = 0
  bytes = 0
  readonly #offset = halvesOf(this.records.offsets)
  readonly #timestamp = halvesOf(this.records.timestamps)
  readonly #leafIndex = new BigInt64Array(1)
  readonly #leafIndexHalves = halvesOf(this.#leafIndex)
  readonly #uuid = Buffer.alloc(UUID_BYTES)
  #eventTime = 0
  #id = 0
  #contentHash = 0
  /** Where the length of `type` stands. */
  #texts = 0

  get offset(): bigint {
    return this.records.offsets[0] as bigint
  }

  get leafIndex(): bigint {
    return this.#leafIndex[0] as bigint
  }

  /** The field count has been read; `start` is where the first field's length stands. */
  enter(row: Buffer, start: number): void {
    const { records } = this
    records.bytes = row
    this.#int8(this.#offset, row, start)
    this.#int8(this.#leafIndexHalves, row, start + INT8_FIELD)
    this.#int8(this.#timestamp, row, start + 2 * INT8_FIELD)
    const time = start + 3 * INT8_FIELD + LENGTH_BYTES
    this.ingestedMs = millisecondsOf(int32At(row, time), int32At(row, time + 4))
    const eventTime = time + INT8_FIELD
    // Beyond 2^53 it is no event time, and differs from every one.
    this.#eventTime = int32At(row, eventTime) * 4_294_967_296 + (int32At(row, eventTime + 4) >>> 0)
    this.#id = eventTime + 8 + LENGTH_BYTES
    this.#contentHash = this.#id + UUID_BYTES
    let at = this.#contentHash + LENGTH_BYTES + int32At(row, this.#contentHash)
    let length = int32At(row, at)
    at += LENGTH_BYTES
    this.leafHash = direct(row).latin1Slice(at, at + length) as Hash
    at += length
    this.#texts = at
    for (let field = 0; field < 5; field++) at += LENGTH_BYTES + Math.max(0, int32At(row, at))
    length = int32At(row, at)
    at += LENGTH_BYTES
    records.keyStarts[0] = length < 0 ? -1 : at
    records.keyEnds[0] = length < 0 ? -1 : at + length
    let bytes = Math.max(0, length)
    at += bytes
    length = int32At(row, at)
    at += LENGTH_BYTES
    records.headerStarts[0] = at
    records.headerEnds[0] = at + length
    bytes += length
    at += length
    length = int32At(row, at)
    at += LENGTH_BYTES
    records.valueStarts[0] = at
    records.valueEnds[0] = at + length
    this.bytes = bytes + length
  }

  #int8(halves: Int32Array, row: Buffer, field: number): void {
    halves[HIGH] = int32At(row, field + LENGTH_BYTES)
    halves[LOW] = int32At(row, field + LENGTH_BYTES + 4)
  }

  difference(event: AcceptedEvent): string | null {
    const different: string[] = []
    const row = this.records.bytes
    if (this.#eventTime !== event.timestampMs) different.push('event_time')
    if (!this.#isId(row, event.id)) different.push('id')
    if (!sameHash(row, this.#contentHash, event.contentHash)) different.push('content_hash')
    let at = this.#texts
    if (!sameText(row, at, event.type)) different.push('type')
    at = fieldEnd(row, at)
    if (!sameText(row, at, event.source)) different.push('source')
    at = fieldEnd(row, at)
    if (!sameText(row, at, event.tenantId)) different.push('tenant_id')
    at = fieldEnd(row, at)
    if (!sameText(row, at, event.classification)) different.push('classification')
    at = fieldEnd(row, at)
    if (!sameTexts(row, at, event.policyTags)) different.push('policy_tags')
    return different.length === 0 ? null : different.join(', ')
  }

  #isId(row: Buffer, id: string): boolean {
    writeUuid(id, this.#uuid, 0)
    for (let i = 0; i < UUID_BYTES; i++) if (row[this.#id + i] !== this.#uuid[i]) return false
    return true
  }
}

const fieldEnd = (row: Buffer, at: number): number => at + LENGTH_BYTES + Math.max(0, int32At(row, at))

function sameHash(row: Buffer, at: number, hash: Hash): boolean {
  if (int32At(row, at) !== hash.length) return false
  for (let i = 0; i < hash.length; i++) if (row[at + LENGTH_BYTES + i] !== hash.charCodeAt(i)) return false
  return true
}

/** ASCII character by character; anything else by its UTF-8. */
function sameText(row: Buffer, at: number, text: string | null): boolean {
  const length = int32At(row, at)
  if (text === null || length < 0) return text === null && length < 0
  const start = at + LENGTH_BYTES
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return row.subarray(start, start + length).equals(Buffer.from(text))
    if (i >= length || row[start + i] !== code) return false
  }
  return length === text.length
}

/** A text[] with the lower bound 1, as ingest writes it; an empty one has no dimensions. */
function sameTexts(row: Buffer, at: number, texts: readonly string[]): boolean {
  const start = at + LENGTH_BYTES
  if (int32At(row, at) < 0) return false
  if (int32At(row, start) === 0) return texts.length === 0
  if (int32At(row, start) !== 1 || int32At(row, start + 12) !== texts.length) return false
  let element = start + ARRAY_HEAD_BYTES
  for (const text of texts) {
    if (!sameText(row, element, text)) return false
    element = fieldEnd(row, element)
  }
  return true
}
