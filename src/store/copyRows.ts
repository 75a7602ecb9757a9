import type { Hash } from '../domain/model.ts'
import type { DirectBuffer } from './bufferMethods.ts'
import { CHUNK_BYTES, type Chunk, type ChunkPool, MAX_PAYLOAD_BYTES, MESSAGE_HEAD_BYTES } from './chunks.ts'

const ASCII_LOOP_LENGTH = 48
const TEXT_OID = 25

/**
 * Rows in PostgreSQL's binary COPY format ("Binary Format" in the manual's page on COPY), written straight into pooled
 * chunks: no row objects. `reserve` keeps what follows in one chunk; `bytes` may cross chunks.
 */
export class CopyRows {
  readonly chunks: Chunk[] = []
  /** Where each row starts in the stream of all payloads, so that single rows can be stamped or left out. */
  readonly starts: number[] = []
  readonly #pool: ChunkPool
  #chunk: Chunk
  #bytes: DirectBuffer
  #view: DataView
  #at = MESSAGE_HEAD_BYTES
  /** Payload bytes in the chunks before the current one. */
  #before = 0

  constructor(pool: ChunkPool) {
    this.#pool = pool
    this.#chunk = pool.take()
    this.#bytes = this.#chunk.bytes
    this.#view = this.#chunk.view
    this.chunks.push(this.#chunk)
  }

  get rows(): number {
    return this.starts.length
  }

  /** Payload bytes so far. */
  get length(): number {
    return this.#before + this.#at - MESSAGE_HEAD_BYTES
  }

  /** Sets the current chunk's end; call before sending. Rows may still be added afterwards. */
  seal(): this {
    this.#chunk.end = this.#at
    return this
  }

  /** Makes room for `count` bytes in one chunk. Throws RangeError beyond a chunk's payload. */
  reserve(count: number): void {
    if (this.#at + count <= CHUNK_BYTES) return
    if (count > MAX_PAYLOAD_BYTES) throw new RangeError(`${count} bytes fit in no chunk`)
    this.#next()
  }

  #next(): void {
    this.seal()
    this.#before += this.#at - MESSAGE_HEAD_BYTES
    this.#chunk = this.#pool.take()
    this.#bytes = this.#chunk.bytes
    this.#view = this.#chunk.view
    this.#at = MESSAGE_HEAD_BYTES
    this.chunks.push(this.#chunk)
  }

  /** `headBytes`: how many bytes from the row's start must lie in one chunk. */
  beginRow(fields: number, headBytes: number): void {
    this.reserve(headBytes)
    this.starts.push(this.length)
    this.#view.setInt16(this.#at, fields)
    this.#at += 2
  }

  null(): void {
    this.reserve(4)
    this.#view.setInt32(this.#at, -1)
    this.#at += 4
  }

  // The four below rely on the room that beginRow or reserve made.

  int4(value: number): void {
    const view = this.#view
    view.setInt32(this.#at, 4)
    view.setInt32(this.#at + 4, value)
    this.#at += 8
  }

  /** A 64-bit integer in two halves: no bigint per row. */
  int8(high: number, low: number): void {
    const view = this.#view
    view.setInt32(this.#at, 8)
    view.setInt32(this.#at + 4, high)
    view.setInt32(this.#at + 8, low)
    this.#at += 12
  }

  /** Sixteen bytes of `source`, as they stand in a uuid. */
  uuid(source: Buffer, start: number): void {
    const bytes = this.#bytes
    let at = this.#at
    this.#view.setInt32(at, 16)
    at += 4
    for (let i = 0; i < 16; i++) bytes[at + i] = source[start + i] as number
    this.#at = at + 16
  }

  hash(value: Hash): void {
    this.#view.setInt32(this.#at, 32)
    this.#bytes.latin1Write(value, this.#at + 4, 32)
    this.#at += 36
  }

  text(value: string): void {
    this.reserve(4 + 3 * value.length)
    const start = this.#at + 4
    const length = this.#utf8(value, start)
    this.#view.setInt32(this.#at, length)
    this.#at = start + length
  }

  /** UTF-8 at `start`; a loop for the short ASCII that columns hold, since calling into Node costs more. */
  #utf8(value: string, start: number): number {
    const bytes = this.#bytes
    const length = value.length
    if (length <= ASCII_LOOP_LENGTH) {
      let i = 0
      for (; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 127) break
        bytes[start + i] = code
      }
      if (i === length) return length
    }
    return bytes.utf8Write(value, start)
  }

  /** text[]: one dimension, lower bound 1, no nulls. */
  textArray(values: readonly string[]): void {
    this.reserve(24)
    const empty = values.length === 0
    let length = empty ? 12 : 20
    for (const value of values) length += 4 + Buffer.byteLength(value)
    const view = this.#view
    view.setInt32(this.#at, length)
    view.setInt32(this.#at + 4, empty ? 0 : 1)
    view.setInt32(this.#at + 8, 0)
    view.setInt32(this.#at + 12, TEXT_OID)
    this.#at += 16
    if (empty) return
    view.setInt32(this.#at, values.length)
    view.setInt32(this.#at + 4, 1)
    this.#at += 8
    for (const value of values) this.text(value)
  }

  /** bytea: `source[start, end)`, over as many chunks as it takes. */
  bytes(source: Buffer, start: number, end: number): void {
    this.reserve(4)
    this.#view.setInt32(this.#at, end - start)
    this.#at += 4
    for (let from = start; from < end; ) {
      if (this.#at === CHUNK_BYTES) this.#next()
      const to = Math.min(end, from + CHUNK_BYTES - this.#at)
      source.copy(this.#bytes, this.#at, from, to)
      this.#at += to - from
      from = to
    }
  }
}

/** Overwrites eight bytes `displacement` behind the start of every row; they must lie in the row's head. */
export function stampRows(rows: CopyRows, displacement: number, high: number, low: number): void {
  visitHeads(rows, displacement, (view, at) => {
    view.setInt32(at, high)
    view.setInt32(at + 4, low)
  })
}

/** The same with a value for each row. */
export function stampEachRow(
  rows: CopyRows,
  displacement: number,
  halvesOfRow: (row: number) => { readonly high: number; readonly low: number },
): void {
  visitHeads(rows, displacement, (view, at, row) => {
    const { high, low } = halvesOfRow(row)
    view.setInt32(at, high)
    view.setInt32(at + 4, low)
  })
}

function visitHeads(
  rows: CopyRows,
  displacement: number,
  visit: (view: DataView, at: number, row: number) => void,
): void {
  let index = 0
  let before = 0
  let row = 0
  let chunk = rows.chunks[0]
  for (const start of rows.starts) {
    while (chunk !== undefined && start >= before + chunk.end - MESSAGE_HEAD_BYTES) {
      before += chunk.end - MESSAGE_HEAD_BYTES
      chunk = rows.chunks[++index]
    }
    if (chunk === undefined) throw new RangeError('a row starts behind the last chunk')
    visit(chunk.view, MESSAGE_HEAD_BYTES + start - before + displacement, row++)
  }
}
