import { once } from 'node:events'
import type { Connection, Submittable } from 'pg'
import { MESSAGE_HEAD_BYTES } from './chunks.ts'
import type { CopyRows } from './copyRows.ts'

const COPY_DATA = 0x64
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])
const SIGNATURE = message(Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]))
const TRAILER = message(Buffer.from([0xff, 0xff]))
/** Chunks handed to the socket at once, so that one system call carries a mebibyte. */
const CHUNKS_PER_WRITE = 16

function message(payload: Buffer): Buffer {
  return Buffer.concat([messageHead(payload.length), payload])
}

function messageHead(payloadBytes: number): Buffer {
  const head = Buffer.allocUnsafe(MESSAGE_HEAD_BYTES)
  head[0] = COPY_DATA
  head.writeInt32BE(payloadBytes + 4, 1)
  return head
}

/** Prepared rows, less those whose numbers are in `omit` (ascending). */
export interface CopyPart {
  readonly rows: CopyRows
  readonly omit: readonly number[]
}

/**
 * `COPY … FROM STDIN (FORMAT binary)` of prepared rows as a query that a pg client can run: nothing is copied on the
 * way to the socket, and no more than the socket wants is handed to it.
 */
export class CopyIn implements Submittable {
  readonly finished: Promise<void>
  // pg asks every query for it, and calls nothing on it when `finished` is what tells.
  readonly callback = (): void => undefined
  readonly #text: string
  readonly #parts: readonly CopyPart[]
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  #failed = false

  constructor(text: string, parts: readonly CopyPart[]) {
    this.#text = text
    this.#parts = parts
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.finished = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: Connection): void {
    connection.query(this.#text)
  }

  handleCopyInResponse(connection: Connection): void {
    this.#send(connection).catch((error: Error) => this.handleError(error))
  }

  async #send({ stream }: Connection): Promise<void> {
    let written = 1
    stream.cork()
    stream.write(SIGNATURE)
    for (const part of this.#messages()) {
      if (this.#failed) break
      const wantsMore = stream.write(part)
      if (++written % CHUNKS_PER_WRITE !== 0) continue
      stream.uncork()
      // A destroyed socket never drains; pg then fails this query through handleError.
      if (!wantsMore && stream.writableNeedDrain) await Promise.race([once(stream, 'drain'), this.finished])
      stream.cork()
    }
    if (!this.#failed) {
      stream.write(TRAILER)
      stream.write(COPY_DONE)
    }
    stream.uncork()
  }

  *#messages(): Generator<Buffer> {
    for (const part of this.#parts) yield* messagesOf(part)
  }

  handleError(error: Error): void {
    this.#failed = true
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    if (!this.#failed) this.#resolve()
  }

  handleCommandComplete(): void {
    // What counts is ReadyForQuery behind it.
  }
}

/** CopyData messages for the chunks; a chunk without omitted rows is one message, its head written in place. */
function* messagesOf({ rows, omit }: CopyPart): Generator<Buffer> {
  rows.seal()
  const cuts = omit.map((row) => ({ from: rows.starts[row] ?? 0, to: rows.starts[row + 1] ?? rows.length }))
  let before = 0
  let next = 0
  for (const { bytes, end } of rows.chunks) {
    const after = before + end - MESSAGE_HEAD_BYTES
    let from = before
    for (let cut = cuts[next]; cut !== undefined && cut.from < after; cut = cuts[next]) {
      if (cut.from > from) yield* piece(bytes, from - before, cut.from - before)
      from = Math.max(from, cut.to)
      // A cut that reaches into the next chunk is met there again.
      if (cut.to > after) break
      next++
    }
    if (from === before && end > MESSAGE_HEAD_BYTES) {
      bytes[0] = COPY_DATA
      bytes.writeInt32BE(end - 1, 1)
      yield bytes.subarray(0, end)
    } else if (from < after) {
      yield* piece(bytes, from - before, after - before)
    }
    before = after
  }
}

function* piece(bytes: Buffer, from: number, to: number): Generator<Buffer> {
  yield messageHead(to - from)
  yield bytes.subarray(MESSAGE_HEAD_BYTES + from, MESSAGE_HEAD_BYTES + to)
}
