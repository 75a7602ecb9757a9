import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import type { ISocketFactory } from 'kafkajs'
import { brokers } from './broker.ts'

/** A way to the broker that can be spoilt. */
export interface Passage {
  readonly address: string
  /** Leads through the passage wherever kafkajs wants to go. */
  readonly socketFactory: ISocketFactory
  /** Connections so far. */
  readonly connections: number
  /** Connections of now, not those to come: nothing gets through any more, and nothing is closed. */
  deafen(): void
  /** Likewise: they break when so many more bytes have come from the broker. */
  breakAfter(bytes: number): void
  close(): void
}

export async function openPassage(): Promise<Passage> {
  const [host = '', port = ''] = (brokers()[0] ?? '').split(':')
  const ways = new Set<Way>()
  let connections = 0
  const server = net.createServer((client) => {
    connections++
    const way = new Way(client, net.connect({ host, port: Number(port) }))
    ways.add(way)
    client.once('close', () => ways.delete(way))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const own = (server.address() as AddressInfo).port
  return {
    address: `127.0.0.1:${own}`,
    socketFactory: ({ onConnect }) => net.connect({ host: '127.0.0.1', port: own }, onConnect),
    get connections() {
      return connections
    },
    deafen: () => {
      for (const way of ways) way.deaf = true
    },
    breakAfter: (bytes) => {
      for (const way of ways) way.left = bytes
    },
    close: () => {
      server.close()
      for (const way of ways) way.end()
    },
  }
}

class Way {
  deaf = false
  left = Number.POSITIVE_INFINITY
  readonly #client: net.Socket
  readonly #server: net.Socket

  constructor(client: net.Socket, server: net.Socket) {
    this.#client = client
    this.#server = server
    client.on('error', () => this.end()).on('close', () => this.end())
    server.on('error', () => this.end()).on('close', () => this.end())
    client.on('data', (bytes) => void (this.deaf || server.write(bytes)))
    server.on('data', (bytes) => void (this.deaf || this.#answer(bytes)))
  }

  end(): void {
    this.#client.destroy()
    this.#server.destroy()
  }

  #answer(bytes: Buffer): void {
    if (bytes.length <= this.left) {
      this.left -= bytes.length
      this.#client.write(bytes)
      return
    }
    this.#client.write(bytes.subarray(0, this.left), () => this.#client.resetAndDestroy())
    this.#server.destroy()
  }
}
