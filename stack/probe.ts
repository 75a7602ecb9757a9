import { connect } from 'node:net'
import { probeLimitMs } from './command.ts'
import type { StackEnvironment } from './environment.ts'
import type { ServerName } from './state.ts'

/**
 * Makes sure that somebody listens where the environment says that a server is.
 * @throws after ten seconds at the latest, naming the variable but no password
 */
export async function checkAddress(name: ServerName, addresses: Partial<StackEnvironment>): Promise<void> {
  const { variable, endpoints } = endpointsOf(name, addresses)
  const attempts = endpoints.map((endpoint) => canConnect(endpoint.host, endpoint.port))
  try {
    await Promise.any(attempts)
  } catch {
    const where = endpoints.map((endpoint) => `${endpoint.host}:${endpoint.port}`).join(', ')
    throw new Error(`nobody answers at ${where}, where ${variable} says that ${name} is`)
  }
}

interface Endpoint {
  readonly host: string
  readonly port: number
}

function endpointsOf(
  name: ServerName,
  addresses: Partial<StackEnvironment>,
): { variable: string; endpoints: Endpoint[] } {
  switch (name) {
    case 'kafka': {
      const brokers = (addresses.KAFKA_BROKERS ?? '').split(',').map((broker) => broker.trim())
      return { variable: 'KAFKA_BROKERS', endpoints: brokers.map((broker) => parse(broker, 9092)) }
    }
    case 'temporal':
      return { variable: 'TEMPORAL_ADDRESS', endpoints: [parse(addresses.TEMPORAL_ADDRESS ?? '', 7233)] }
    case 'postgres': {
      const url = new URL(addresses.DATABASE_ADMIN_URL ?? '')
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
      return { variable: 'DATABASE_ADMIN_URL', endpoints: [{ host, port: Number(url.port || 5432) }] }
    }
    default:
      return name satisfies never
  }
}

/** `host`, `host:port` or `[v6]:port`. */
function parse(address: string, usualPort: number): Endpoint {
  const url = new URL(`tcp://${address}`)
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || usualPort) }
}

function canConnect(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    socket.setTimeout(probeLimitMs, () => socket.destroy(new Error('no answer')))
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
