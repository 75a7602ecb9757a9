import { addressesFromEnvironment, addressesOf } from './addresses.ts'
import { composeRuns, composeUp, dockerAnswers } from './docker.ts'
import type { StackEnvironment } from './environment.ts'
import { exclusively } from './lock.ts'
import { type Site, type StartedServer, startNative } from './native.ts'
import { natives } from './natives.ts'
import { checkAddress } from './probe.ts'
import { isAlive } from './process.ts'
import { type RunningServer, readState, type ServerName, type StackState, writeState } from './state.ts'
import { combine, stopAll, stopRecorded } from './stop.ts'

const noAddresses: StackEnvironment = {
  KAFKA_BROKERS: '',
  DATABASE_URL: '',
  DATABASE_ADMIN_URL: '',
  TEMPORAL_ADDRESS: '',
  TEMPORAL_UI_URL: '',
}

export interface Wanted {
  /** Which servers; all three when left out. */
  readonly only: readonly ServerName[]
  /** Never use a Docker engine: whoever kills a server by its process id needs this. */
  readonly nativeOnly: boolean
  /** Environment that may name servers; the process's own when left out. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export interface BroughtUp {
  readonly addresses: StackEnvironment
  /** The servers that the stack runs, not the ones that the environment named. */
  readonly own: ServerName[]
  readonly state: StackState
}

/**
 * Finds or starts the wanted servers, all at once, while no other command does so; then changes the state as told.
 * When one fails, what nobody else uses is stopped again.
 * @throws with the message of each server that failed
 */
export function bringUp(
  site: Site,
  wanted: Wanted,
  change: (before: StackState) => Partial<StackState>,
): Promise<BroughtUp> {
  const onWait = (): void => site.progress('another command is starting or stopping the servers; waiting …')
  return exclusively(site.directory, () => bringUpLocked(site, wanted, change), onWait)
}

async function bringUpLocked(
  site: Site,
  wanted: Wanted,
  change: (before: StackState) => Partial<StackState>,
): Promise<BroughtUp> {
  const before = readState(site.directory)
  let state: StackState = { ...before, users: before.users.filter(isAlive) }
  const record = (name: ServerName, server: RunningServer | undefined): void => {
    const lastPorts = server === undefined ? state.lastPorts : { ...state.lastPorts, [name]: server.ports }
    state = { ...state, servers: { ...state.servers, [name]: server }, lastPorts }
    writeState(site.directory, state)
  }
  let docker: Promise<boolean> | undefined
  const hasDocker = (): Promise<boolean> => {
    docker ??= wanted.nativeOnly ? Promise.resolve(false) : dockerAnswers()
    return docker
  }
  const search = { site, environment: wanted.environment, before, record, hasDocker }
  const results = await Promise.allSettled(wanted.only.map((name) => bringUpOne(name, search)))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  if (failures.length > 0) {
    if (!state.kept && state.users.length === 0) await stopAll(site, state)
    throw combine(failures)
  }
  state = { ...state, ...change(state) }
  writeState(site.directory, state)
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const addresses: StackEnvironment = Object.assign({}, noAddresses, ...servers.map((one) => one.addresses))
  return { addresses, own: servers.filter((one) => one.own).map((one) => one.name), state }
}

interface Search {
  readonly site: Site
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly before: StackState
  record(name: ServerName, server: RunningServer | undefined): void
  hasDocker(): Promise<boolean>
}

interface FoundServer {
  readonly name: ServerName
  readonly addresses: Partial<StackEnvironment>
  readonly own: boolean
}

async function bringUpOne(name: ServerName, search: Search): Promise<FoundServer> {
  const { site, before, environment } = search
  const named = addressesFromEnvironment(name, environment, site, ownAddresses(name, before, site))
  if (named !== null) {
    await checkAddress(name, named)
    return { name, addresses: named, own: false }
  }
  const recorded = before.servers[name]
  const server =
    recorded !== undefined && (await stillServes(name, recorded, site))
      ? recorded
      : await replace(name, recorded, search)
  return { name, addresses: addressesOf(name, server, site), own: true }
}

/** Ends what is left of the recorded server and starts another: with Docker where that works, else natively. */
async function replace(
  name: ServerName,
  recorded: RunningServer | undefined,
  search: Search,
): Promise<RunningServer> {
  const { site, before, record } = search
  if (recorded !== undefined) {
    await stopRecorded(name, recorded)
    record(name, undefined)
  }
  const inDocker = (await search.hasDocker()) ? await startInDocker(name, search) : null
  if (inDocker !== null) return inDocker
  const toRecord = ({ process, ports }: StartedServer): RunningServer => ({
    kind: 'native',
    process,
    ports: [...ports],
  })
  const onStarted = (started: StartedServer): void => record(name, toRecord(started))
  return toRecord(await startNative(natives[name], site, before.lastPorts[name] ?? [], onStarted))
}

/** What the stack itself may have given out as this server's address: now, or the last time it ran. */
function ownAddresses(name: ServerName, state: StackState, site: Site): Partial<StackEnvironment>[] {
  const ports = state.lastPorts[name]
  if (ports === undefined) return []
  const anyProcess = { pid: 1, started: '' }
  const native: RunningServer = { kind: 'native', process: anyProcess, ports }
  return [addressesOf(name, native, site), addressesOf(name, { kind: 'docker', ports }, site)]
}

async function startInDocker(name: ServerName, search: Search): Promise<RunningServer | null> {
  search.site.progress(`starting ${name} with Docker …`)
  try {
    const service = await composeUp(name)
    const server: RunningServer = { kind: 'docker', ports: [...service.ports] }
    if (service.started) search.record(name, server)
    return server
  } catch (error) {
    search.site.progress(`${error instanceof Error ? error.message : error}\nstarting ${name} without Docker`)
    return null
  }
}

/** One more moment for a server that is just recovering or very busy; then it counts as broken. */
async function stillServes(name: ServerName, server: RunningServer, site: Site): Promise<boolean> {
  if (server.kind === 'docker') return composeRuns(name)
  if (!isAlive(server.process)) return false
  try {
    await natives[name].check(site, server.ports)
    return true
  } catch {
    return false
  }
}
