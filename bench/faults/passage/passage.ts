import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Passage, Tap } from '../contract.ts'
import { Connection } from './connection.ts'
import type { Conversation } from './framing.ts'
import { kafkaConversation } from './kafkaFrames.ts'
import type { LateDelivery } from './lateDelivery.ts'
import { type Rules, reset } from './outlet.ts'
import { postgresConversation } from './postgresFrames.ts'

export type Protocol = 'kafka' | 'postgres' | 'raw'

export interface PassageOptions {
  /** `host:port` of the server. */
  readonly target: string
  /** How frames are told apart; a tap sees nothing of `raw`. */
  readonly protocol: Protocol
  /** Where it listens on 127.0.0.1; the system chooses when left out. */
  readonly port?: number
}

/** Listens, and forwards everything as it is until told otherwise. */
export async function openPassage({ target, protocol, port = 0 }: PassageOptions): Promise<Passage> {
  const at = target.lastIndexOf(':')
  // A side that has sent its last byte may still listen, on either end.
  const server = createServer({ allowHalfOpen: true, noDelay: true })
  server.listen({ port, host: '127.0.0.1' })
  await once(server, 'listening')
  const destination = { host: target.slice(0, at), port: Number(target.slice(at + 1)) }
  return new TcpPassage(server, destination, conversations[protocol])
}

const conversations: Readonly<Record<Protocol, () => Conversation | null>> = {
  kafka: kafkaConversation,
  postgres: postgresConversation,
  raw: () => null,
}

class TcpPassage implements Passage {
  readonly port: number
  readonly #server: Server
  readonly #destination: { readonly host: string; readonly port: number }
  readonly #converse: () => Conversation | null
  readonly #rules: Rules = { latencyMs: 0, jitterMs: 0, bytesPerSecond: null }
  readonly #connections = new Set<Connection>()
  /** Taken while the passage was deaf: they lead nowhere. */
  readonly #unheard = new Set<Socket>()
  readonly #late = new Set<LateDelivery>()
  #tap: Tap | null = null
  #isShut = false
  #isDeaf = false
  #forwarded = 0

  constructor(
    server: Server,
    destination: { readonly host: string; readonly port: number },
    converse: () => Conversation | null,
  ) {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a listening passage has no port')
    this.port = address.port
    this.#server = server
    this.#destination = destination
    this.#converse = converse
    server.on('connection', (client) => this.#accept(client))
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get connections(): number {
    return this.#connections.size + this.#unheard.size
  }

  get forwarded(): number {
    return this.#forwarded
  }

  shut(): void {
    this.#isShut = true
    this.cut()
  }

  open(): void {
    this.#isShut = false
  }

  cut(): void {
    for (const connection of this.#connections) connection.cut()
    for (const client of this.#unheard) reset(client)
  }

  deafen(): void {
    this.#isDeaf = true
    for (const connection of this.#connections) connection.deafen()
  }

  silence(): void {
    for (const connection of this.#connections) connection.deafen()
  }

  delay(latencyMs: number, jitterMs: number): void {
    this.#rules.latencyMs = latencyMs
    this.#rules.jitterMs = jitterMs
  }

  throttle(bytesPerSecond: number): void {
    this.#rules.bytesPerSecond = bytesPerSecond
  }

  tap(tap: Tap | null): void {
    this.#tap = tap
  }

  reset(): void {
    this.#isShut = false
    this.#isDeaf = false
    this.#tap = null
    Object.assign(this.#rules, { latencyMs: 0, jitterMs: 0, bytesPerSecond: null })
    for (const client of this.#unheard) reset(client)
    for (const connection of this.#connections) {
      if (connection.isDeaf || connection.isHeld) connection.cut()
      else connection.hurry()
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    for (const delivery of this.#late) delivery.drop()
    await closed
  }

  #accept(client: Socket): void {
    if (this.#isShut) reset(client)
    else if (this.#isDeaf) this.#ignore(client)
    else this.#connect(client)
  }

  #ignore(client: Socket): void {
    this.#unheard.add(client)
    client.on('error', () => client.destroy())
    client.once('close', () => this.#unheard.delete(client))
    client.resume()
  }

  #connect(client: Socket): void {
    const server = connect({ ...this.#destination, allowHalfOpen: true })
    const passage = this
    const connection = new Connection(client, server, this.#converse(), {
      rules: this.#rules,
      get tap() {
        return passage.#tap
      },
      onForwarded: (bytes) => {
        this.#forwarded += bytes
      },
      onClosed: (closed) => this.#connections.delete(closed),
      onLate: (delivery) => this.#late.add(delivery),
      onDelivered: (delivery) => this.#late.delete(delivery),
    })
    this.#connections.add(connection)
  }
}
