import net from 'node:net'
import tls from 'node:tls'
import { type ISocketFactory, Kafka, type KafkaConfig, logLevel, type SASLOptions } from 'kafkajs'
import { type KafkaLog, logBridge } from './log-bridge.ts'
import { Seeds } from './seeds.ts'

export interface KafkaTls {
  /** PEM; the system's authorities when absent. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly rejectUnauthorized?: boolean
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export interface KafkaConnectionConfig {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** null: plain text. */
  readonly tls: KafkaTls | null
  readonly sasl: KafkaSasl | null
  readonly log: KafkaLog
}

export interface KafkaClientOptions {
  readonly requestTimeoutMs: number
  /** How often kafkajs itself tries again what it thinks can be tried again. */
  readonly retries: number
}

/** A kafkajs client with sockets of its own, which can be cut. */
export interface KafkaClient {
  readonly kafka: Kafka
  /** Cuts every connection; requests under way fail, later ones too. */
  destroy(): void
}

/** How to reach Kafka; opens nothing itself. */
export interface KafkaConnection {
  readonly log: KafkaLog
  /** Where clients begin. */
  readonly seeds: Seeds
  openClient(options: KafkaClientOptions): KafkaClient
}

const connectionTimeoutMs = 10_000
const longestRetryMs = 1_000

/**
 * Describes a Kafka cluster to every part of src/kafka. Each client gets sockets of its own, so that one can be dropped
 * without the others noticing (and kafkajs shares committed offsets between the consumers of one client, which breaks them).
 */
export function createKafkaConnection(config: KafkaConnectionConfig): KafkaConnection {
  const seeds = new Seeds(config.brokers)
  return {
    log: config.log,
    seeds,
    openClient(options) {
      const sockets = new SocketSet()
      const kafka = new Kafka({
        ...kafkaConfigOf(config),
        brokers: () => [...seeds.addresses],
        requestTimeout: options.requestTimeoutMs,
        retry: { retries: options.retries, initialRetryTime: 50, maxRetryTime: longestRetryMs },
        socketFactory: sockets.factory,
        logLevel: logLevel.INFO,
        logCreator: logBridge(config.log, () => sockets.destroyed),
      })
      return { kafka, destroy: () => sockets.destroy() }
    },
  }
}

/** The part of kafkajs' configuration that says where the brokers are and how to get in. */
export function kafkaConfigOf(config: KafkaConnectionConfig): KafkaConfig {
  return {
    brokers: [...config.brokers],
    clientId: config.clientId,
    connectionTimeout: connectionTimeoutMs,
    authenticationTimeout: connectionTimeoutMs,
    ...(config.tls === null ? {} : { ssl: { ...config.tls } }),
    ...(config.sasl === null ? {} : { sasl: saslOptions(config.sasl) }),
  }
}

function saslOptions({ mechanism, username, password }: KafkaSasl): SASLOptions {
  switch (mechanism) {
    case 'plain':
      return { mechanism: 'plain', username, password }
    case 'scram-sha-256':
      return { mechanism: 'scram-sha-256', username, password }
    case 'scram-sha-512':
      return { mechanism: 'scram-sha-512', username, password }
    default: {
      const unknown: never = mechanism
      throw new Error(`SASL mechanism ${String(unknown)} is not known`)
    }
  }
}

/** Every socket of one client, so that all of them can be cut at once. */
class SocketSet {
  readonly #sockets = new Set<net.Socket>()
  destroyed = false

  readonly factory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (this.destroyed) return this.#refuse()
    const socket = ssl
      ? tls.connect({ host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
      : net.connect({ host, port }, onConnect)
    socket.setKeepAlive(true, 10_000)
    socket.setNoDelay(true)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }

  #refuse(): net.Socket {
    const socket = new net.Socket()
    process.nextTick(() => socket.destroy(new Error('the client is closed')))
    return socket
  }

  destroy(): void {
    this.destroyed = true
    // With an error: kafkajs listens to 'error' and 'end', not to 'close', and would leave its requests hanging.
    for (const socket of this.#sockets) socket.destroy(new Error('the client is closed'))
  }
}
