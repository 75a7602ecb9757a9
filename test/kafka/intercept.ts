import net from 'node:net'
import type { ISocketFactory } from 'kafkajs'

/** Some requests of one kind that do not reach the broker. */
export interface Interception {
  readonly apiKey: number
  /** The first so many, once `armed`. */
  readonly times: number
  /** What the client gets instead, behind the correlation id; null: its connection breaks. */
  readonly answer: Buffer | null
}

export const fields = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

export interface InterceptingSockets {
  readonly socketFactory: ISocketFactory
  /** Nothing is intercepted before. */
  arm(): void
  /** Requests of this kind that were intercepted. */
  caught(apiKey: number): number
}

/** Sockets to where kafkajs wants; kafkajs writes one whole request at a time. */
export function interceptingSockets(interceptions: readonly Interception[]): InterceptingSockets {
  const caught = new Map<number, number>()
  let armed = false
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = net.connect({ host, port }, onConnect)
    const write = socket.write.bind(socket) as (data: Buffer) => boolean
    socket.write = ((data: Buffer): boolean => {
      const apiKey = data.readInt16BE(4)
      const found = interceptions.find((one) => one.apiKey === apiKey)
      const count = caught.get(apiKey) ?? 0
      if (!armed || found === undefined || count >= found.times) return write(data)
      caught.set(apiKey, count + 1)
      if (found.answer === null) socket.destroy(new Error('broken on purpose'))
      else answer(socket, data.readInt32BE(8), found.answer)
      return true
    }) as typeof socket.write
    return socket
  }
  return {
    socketFactory,
    arm: () => {
      armed = true
    },
    caught: (apiKey) => caught.get(apiKey) ?? 0,
  }
}

function answer(socket: net.Socket, correlationId: number, body: Buffer): void {
  const head = Buffer.alloc(8)
  head.writeInt32BE(4 + body.length)
  head.writeInt32BE(correlationId, 4)
  setImmediate(() => socket.emit('data', Buffer.concat([head, body])))
}
