import type { Connection, Submittable } from 'pg'

const SIGNATURE_BYTES = 19
const SIGNATURE_FIRST_BYTE = 0x50
const END_OF_ROWS = -1

/** Takes one row; the field count has been read, the first field's length stands at `at`. Keep nothing of `bytes`. */
export type RowReader = (bytes: Buffer, at: number) => void

/**
 * `COPY (…) TO STDOUT (FORMAT binary)` as a query that a pg client can run. The server sends one message per row; pg
 * reuses the memory behind it, so the reader copies what it keeps.
 */
export class CopyOut implements Submittable {
  readonly finished: Promise<void>
  readonly callback = (): void => undefined
  readonly #text: string
  readonly #read: RowReader
  readonly #resolve: () => void
  readonly #reject: (error: Error) => void
  #started = false
  #failure: Error | null = null

  constructor(text: string, read: RowReader) {
    this.#text = text
    this.#read = read
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.finished = promise
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: Connection): void {
    connection.query(this.#text)
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    if (this.#failure !== null) return
    const bytes = message.chunk
    let at = 0
    if (!this.#started) {
      this.#started = true
      // The signature comes in front of the first row, in one message with it.
      if (bytes[0] === SIGNATURE_FIRST_BYTE) at = SIGNATURE_BYTES
      if (at === bytes.length) return
    }
    if (bytes.readInt16BE(at) === END_OF_ROWS) return
    try {
      this.#read(bytes, at + 2)
    } catch (error) {
      // Thrown on, it would end the process: we are inside the socket's event.
      this.#failure = error instanceof Error ? error : new Error(String(error))
    }
  }

  handleCommandComplete(): void {
    // What counts is ReadyForQuery behind it.
  }

  handleError(error: Error): void {
    this.#failure = error
    this.#reject(error)
  }

  handleReadyForQuery(): void {
    if (this.#failure === null) this.#resolve()
    else this.#reject(this.#failure)
  }
}
