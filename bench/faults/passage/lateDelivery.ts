import type { Socket } from 'node:net'
import type { Frame, Late } from '../contract.ts'
import type { FrameStream } from './frameStream.ts'
import { reset } from './outlet.ts'

/** A server that does not answer a request which came late gets this long. */
const answerLimitMs = 30_000

/** A request that reaches the server when nobody waits for it any more, on a connection whose client is gone. */
export class LateDelivery {
  readonly #server: Socket
  readonly #onEnd: () => void
  #timer: NodeJS.Timeout
  #isDelivered = false
  #isDropped = false

  /** `answers` stands where the server's answers do. `onEnd`: the answer has come and is forgotten, or never will. */
  constructor(
    server: Socket,
    answers: FrameStream,
    request: Frame,
    { lateMs, behind, onAnswer }: Late,
    onEnd: () => void,
  ) {
    this.#server = server
    this.#onEnd = onEnd
    server.on('data', (chunk: Buffer) => this.#read(answers, chunk, request, onAnswer))
    server.once('close', () => this.#finish())
    server.resume()
    this.#timer = setTimeout(() => {
      if (behind === undefined) this.#deliver(request)
      else void behind.then(() => this.#deliver(request))
    }, lateMs).unref()
  }

  /** Not delivered if it has not been yet. */
  drop(): void {
    this.#isDropped = true
    clearTimeout(this.#timer)
    reset(this.#server)
  }

  #deliver(request: Frame): void {
    if (this.#isDropped) return
    this.#isDelivered = true
    this.#server.write(request.bytes)
    this.#timer = setTimeout(() => this.drop(), answerLimitMs).unref()
  }

  #read(answers: FrameStream, chunk: Buffer, request: Frame, onAnswer: Late['onAnswer']): void {
    answers.push(chunk)
    for (;;) {
      const piece = answers.next(true)
      if (piece === null) return
      if (!this.#isDelivered || piece.frame === null || !isAnswer(piece.frame, request)) continue
      onAnswer?.(piece.frame)
      this.#server.end()
    }
  }

  #finish(): void {
    clearTimeout(this.#timer)
    this.#onEnd()
  }
}

/** PostgreSQL's last word on a query is that it is ready for the next. */
function isAnswer(frame: Frame, request: Frame): boolean {
  if (frame.protocol === 'postgres') return frame.type === 'Z'
  return request.protocol === 'kafka' && frame.correlationId === request.correlationId
}
