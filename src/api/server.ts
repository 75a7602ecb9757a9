import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ServiceError } from '../errors.ts'

export interface RunningServer {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Takes no new requests, lets running ones finish, and ends after ten seconds whatever they do. */
  close(): Promise<void>
}

const closeTimeoutMs = 10_000

/** Listens; port 0 takes a free one. Throws ServiceError when the address cannot be had. */
export async function serve(
  handler: RequestListener,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 2_000,
    },
    handler,
  )
  server.maxConnections = 1_000
  // Longer than any answer takes: a connection on which nothing moved for so long is gone.
  server.setTimeout(180_000)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ServiceError('INTERNAL', `cannot listen on ${host}:${port} (${error.code ?? 'unknown'})`)),
    )
    server.listen(port, host, resolve)
  })
  const actual = (server.address() as AddressInfo).port
  return {
    host,
    port: actual,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMs)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        // Connections whose answer is still under way end with it.
        server.keepAliveTimeout = 1
        server.closeIdleConnections()
      }),
  }
}
