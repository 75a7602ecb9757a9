import { composeStop } from './docker.ts'
import { removeEnvironment } from './environment.ts'
import { exclusively } from './lock.ts'
import { type Site, stopGraceMs } from './native.ts'
import { natives } from './natives.ts'
import { isAlive, type ProcessId, stopProcess } from './process.ts'
import {
  type RunningServer,
  readState,
  type ServerName,
  type StackState,
  serverNames,
  writeState,
} from './state.ts'

/** One user fewer; the last one stops the servers unless they are kept. */
export async function leave(site: Site, self: ProcessId): Promise<void> {
  await exclusively(site.directory, async () => {
    const state = readState(site.directory)
    const index = state.users.findIndex((user) => user.pid === self.pid && user.started === self.started)
    const users = state.users.filter((user, position) => position !== index && isAlive(user))
    if (state.kept || users.length > 0) writeState(site.directory, { ...state, users })
    else await stopAll(site, { ...state, users })
  })
}

/** Stops every recorded server. The caller holds the lock. */
export async function stopAll(site: Site, state: StackState): Promise<void> {
  const results = await Promise.allSettled(
    serverNames.map(async (name) => {
      const server = state.servers[name]
      if (server !== undefined) await stopRecorded(name, server)
    }),
  )
  writeState(site.directory, { ...state, servers: {} })
  removeEnvironment(site.directory)
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  if (failures.length > 0) throw combine(failures)
}

export async function stopRecorded(name: ServerName, server: RunningServer): Promise<void> {
  if (server.kind === 'docker') await composeStop(name)
  else await stopProcess(server.process, natives[name].stopSignal, stopGraceMs)
}

/** One error for several servers that failed, each with its own message. */
export function combine(failures: readonly unknown[]): Error {
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
  return new AggregateError(failures, messages.join('\n'))
}
