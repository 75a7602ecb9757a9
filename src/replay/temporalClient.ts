import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client'
import type { TlsConfig } from '../config.ts'

export interface TemporalConfig {
  readonly address: string
  readonly namespace: string
  readonly taskQueue: string
  readonly apiKey: string | null
  readonly tls: TlsConfig | null
}

export interface TemporalClient {
  readonly client: Client
  /** Throws when Temporal does not answer within `timeoutMs`, or knows no such namespace. */
  ping(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

/** About a second. The SDK's ten attempts take ten seconds, whatever the deadline of the call. */
const ATTEMPTS = 4

/** Connects when it is first used, and again by itself. */
export function createTemporalClient(config: TemporalConfig): TemporalClient {
  const connection = Connection.lazy({
    ...connectionOptions(config),
    // By default a channel whose server was away for long tries again only every two minutes.
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 200, 'grpc.max_reconnect_backoff_ms': 2_000 },
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: ATTEMPTS }))],
  })
  const client = new Client({ connection, namespace: config.namespace })
  return {
    client,
    async ping(timeoutMs) {
      await connection.withDeadline(Date.now() + timeoutMs, () =>
        connection.workflowService.describeNamespace({ namespace: config.namespace }),
      )
    },
    close: () => connection.close(),
  }
}

/** Address and identity, the same for clients and workers. */
export function connectionOptions({ address, apiKey, tls }: TemporalConfig) {
  return {
    address,
    ...(apiKey !== null && { apiKey }),
    ...(tls !== null && { tls: tlsOptions(tls) }),
  }
}

function tlsOptions({ ca, cert, key, serverName }: TlsConfig) {
  return {
    ...(ca !== undefined && { serverRootCACertificate: Buffer.from(ca) }),
    ...(serverName !== undefined && { serverNameOverride: serverName }),
    ...(cert !== undefined &&
      key !== undefined && { clientCertPair: { crt: Buffer.from(cert), key: Buffer.from(key) } }),
  }
}
