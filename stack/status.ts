import { readEnvironment, type StackEnvironment } from './environment.ts'
import { checkAddress } from './probe.ts'
import { type RunningServer, readState, type ServerName, serverNames } from './state.ts'

export interface StatusRow {
  readonly server: ServerName
  readonly state: 'up' | 'down'
  /** Who runs it: this machine, a Docker engine, or whoever the environment named. */
  readonly by: string
  readonly address: string
  readonly pid: string
}

/** How each server of a kept stack does right now; looks, changes nothing. */
export async function statusRows(directory: string): Promise<StatusRow[]> {
  const state = readState(directory)
  const addresses = readEnvironment(directory)
  return Promise.all(
    serverNames.map(async (server) => {
      const recorded = state.servers[server]
      const address = addresses === null ? '' : shown(server, addresses)
      return {
        server,
        state: addresses !== null && (await answers(server, addresses)) ? ('up' as const) : ('down' as const),
        by: addresses === null ? '' : byWhom(recorded),
        address,
        pid: recorded?.kind === 'native' ? String(recorded.process.pid) : '',
      }
    }),
  )
}

const byWhom = (server: RunningServer | undefined): string => server?.kind ?? 'environment'

async function answers(server: ServerName, addresses: StackEnvironment): Promise<boolean> {
  try {
    await checkAddress(server, addresses)
    return true
  } catch {
    return false
  }
}

/** Never the password. */
function shown(server: ServerName, addresses: StackEnvironment): string {
  switch (server) {
    case 'kafka':
      return addresses.KAFKA_BROKERS
    case 'temporal':
      return [addresses.TEMPORAL_ADDRESS, addresses.TEMPORAL_UI_URL].filter((part) => part !== '').join('  ')
    case 'postgres': {
      const url = new URL(addresses.DATABASE_URL)
      return `${url.host}${url.pathname}`
    }
    default:
      return server satisfies never
  }
}

const columns = ['server', 'state', 'by', 'pid', 'address'] as const

/** Aligned with spaces, a heading first. */
export function formatTable(rows: readonly StatusRow[]): string {
  const lines = [columns.map(String), ...rows.map((row) => columns.map((column) => row[column]))]
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => line[index]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
