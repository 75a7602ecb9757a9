import type { StackEnvironment } from './environment.ts'
import type { Site } from './native.ts'
import { directoryKey } from './paths.ts'
import { postgresAddresses, postgresUrl } from './postgres.ts'
import { type RunningServer, readSecrets, type ServerName } from './state.ts'

type Addresses = Partial<StackEnvironment>

/** Passwords that docker-compose.yml sets when nobody says otherwise; its ports are published on loopback only. */
const composePassword = 'streaming-ingest-local'

/** The variables that lead to a server which the stack runs. */
export function addressesOf(name: ServerName, server: RunningServer, site: Site): Addresses {
  const [port = 0, secondPort = 0] = server.ports
  switch (name) {
    case 'kafka':
      return { KAFKA_BROKERS: `127.0.0.1:${port}` }
    case 'temporal':
      return { TEMPORAL_ADDRESS: `127.0.0.1:${port}`, TEMPORAL_UI_URL: `http://127.0.0.1:${secondPort}` }
    case 'postgres': {
      if (server.kind === 'docker') {
        return {
          DATABASE_ADMIN_URL: postgresUrl('postgres', composePassword, port, 'postgres'),
          DATABASE_URL: postgresUrl('streaming_ingest', composePassword, port, 'streaming_ingest'),
        }
      }
      const { admin, application } = postgresAddresses(site, port)
      return { DATABASE_ADMIN_URL: admin, DATABASE_URL: application }
    }
    default:
      return name satisfies never
  }
}

/** Which variable decides that a server is somebody else's business. */
const deciding = {
  kafka: 'KAFKA_BROKERS',
  postgres: 'DATABASE_ADMIN_URL',
  temporal: 'TEMPORAL_ADDRESS',
} as const satisfies Record<ServerName, keyof StackEnvironment>

/**
 * What the environment says about a server, or null when it names none. An address that the stack itself gave out
 * (somebody sourced `.stack/env`) names none either.
 */
export function addressesFromEnvironment(
  name: ServerName,
  environment: Readonly<Record<string, string | undefined>>,
  site: Site,
  own: readonly Addresses[],
): Addresses | null {
  const variable = deciding[name]
  const address = environment[variable] ?? ''
  if (own.some((addresses) => addresses[variable] === address)) return null
  const applicationUrl = environment['DATABASE_URL'] ?? ''
  if (address === '') {
    const ownApplication = own.some((addresses) => addresses.DATABASE_URL === applicationUrl)
    if (name === 'postgres' && applicationUrl !== '' && !ownApplication) {
      throw new Error(
        'DATABASE_URL is set but DATABASE_ADMIN_URL is not: name the owner as well, who makes the schema, or neither',
      )
    }
    return null
  }
  switch (name) {
    case 'kafka':
      return { KAFKA_BROKERS: address }
    case 'temporal':
      return { TEMPORAL_ADDRESS: address, TEMPORAL_UI_URL: environment['TEMPORAL_UI_URL'] ?? '' }
    case 'postgres': {
      const chosen = applicationUrl !== '' ? applicationUrl : besideAdmin(address, site)
      return { DATABASE_ADMIN_URL: address, DATABASE_URL: chosen }
    }
    default:
      return name satisfies never
  }
}

/** On a server that others may share, this checkout takes a database and a role with names of its own. */
function besideAdmin(adminUrl: string, site: Site): string {
  const key = directoryKey(site.directory).slice(0, 8)
  const url = new URL(adminUrl)
  url.username = `streaming_ingest_${key}`
  url.password = readSecrets(site.directory).application
  url.pathname = `/streaming_ingest_${key}`
  return url.href
}
