import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const clientId = Buffer.from('bench')
const connectLimitMs = 10_000

/** One connection to a broker: requests go out in the order of the calls, each is answered or fails. */
export class BrokerSocket {
  readonly #socket: Socket
  readonly #waiting = new Map<number, PromiseWithResolvers<Buffer>>()
  #correlation = 0
  #received: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket, silenceLimitMs: number) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setTimeout(silenceLimitMs)
    // Not as an argument of setTimeout, which listens once: the first silence may be one in which no answer is due.
    socket.on('timeout', () => {
      if (this.#waiting.size > 0) socket.destroy(new Error('the broker does not answer'))
    })
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')))
  }

  /** `silenceLimitMs`: a broker that says nothing for this long while an answer is due is given up. */
  static async open(host: string, port: number, silenceLimitMs: number): Promise<BrokerSocket> {
    const socket = connect({ host, port })
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(Math.min(connectLimitMs, silenceLimitMs)) })
    } catch (error) {
      socket.destroy()
      throw error
    }
    return new BrokerSocket(socket, silenceLimitMs)
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** Resolves with the answer behind its correlation id. The parts of the body are written as they are. */
  request(apiKey: number, apiVersion: number, body: readonly Buffer[]): Promise<Buffer> {
    const correlation = this.#correlation++
    const waiting = Promise.withResolvers<Buffer>()
    if (this.#socket.destroyed) waiting.reject(new Error('the connection to the broker is closed'))
    else this.#waiting.set(correlation, waiting)
    const bodyBytes = body.reduce((sum, part) => sum + part.length, 0)
    this.#socket.write(requestHead(apiKey, apiVersion, correlation, bodyBytes))
    for (const part of body) this.#socket.write(part)
    return waiting.promise
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readInt32BE(0)
      if (this.#received.length < end) return
      const correlation = this.#received.readInt32BE(4)
      this.#waiting.get(correlation)?.resolve(this.#received.subarray(8, end))
      this.#waiting.delete(correlation)
      this.#received = this.#received.subarray(end)
    }
  }

  #fail(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

/** Request header v1 (Kafka protocol, "Request Header"). */
function requestHead(apiKey: number, apiVersion: number, correlation: number, bodyBytes: number): Buffer {
  const head = Buffer.alloc(4 + 8 + 2 + clientId.length)
  let at = head.writeInt32BE(head.length - 4 + bodyBytes, 0)
  at = head.writeInt16BE(apiKey, at)
  at = head.writeInt16BE(apiVersion, at)
  at = head.writeInt32BE(correlation, at)
  at = head.writeInt16BE(clientId.length, at)
  clientId.copy(head, at)
  return head
}
