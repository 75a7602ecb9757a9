import { resolve } from 'node:path'
import { addressesFromEnvironment, addressesOf } from './addresses.ts'
import { composeRuns, composeStop, composeUp, dockerAnswers } from './docker.ts'
import { removeEnvironment, type StackEnvironment } from './environment.ts'
import { kafka } from './kafka.ts'
import { findKafka } from './kafka-jars.ts'
import { exclusively } from './lock.ts'
import { type NativeServer, type Progress, type Site, startNative, stopGraceMs } from './native.ts'
import { defaultStackDirectory } from './paths.ts'
import { postgres } from './postgres.ts'
import { checkAddress } from './probe.ts'
import { identify, isAlive, type ProcessId, stopProcess } from './process.ts'
import {
  type RunningServer,
  readState,
  type ServerName,
  type StackState,
  serverNames,
  writeState,
} from './state.ts'
import { temporal } from './temporal.ts'

const natives: Readonly<Record<ServerName, NativeServer>> = { kafka, postgres, temporal }

export interface StackOptions {
  /** Which servers; all three when left out. */
  readonly only?: readonly ServerName[]
  readonly onProgress?: Progress
  /** A stack of its own, with its own data and ports; `.stack` in the project when left out. */
  readonly directory?: string
  /** Never use a Docker engine: whoever kills a server by its process id needs this. */
  readonly nativeOnly?: boolean
  /** Environment that may name servers; the process's own when left out. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

export interface Stack {
  /** Addresses of the servers asked for; empty strings for the others. */
  readonly env: StackEnvironment
  /** Process ids of the servers that run natively here. */
  readonly pids: Readonly<Partial<Record<ServerName, number>>>
  /** `java -cp` of Kafka's broker and tools; null where Java, Maven or the network is missing. */
  readonly kafkaClasspath: string | null
  /** Stops what this call started, unless `stack -- up` or another process keeps it. */
  stop(): Promise<void>
}

const noAddresses: StackEnvironment = {
  KAFKA_BROKERS: '',
  DATABASE_URL: '',
  DATABASE_ADMIN_URL: '',
  TEMPORAL_ADDRESS: '',
  TEMPORAL_UI_URL: '',
}

/**
 * Finds or starts the servers and returns when each of them serves. Each is looked for on its own: its address in
 * the environment, a Docker engine, the machine itself. Servers that run already (`stack -- up`, another command)
 * are used and left alone. Safe to call from several processes at once.
 * @throws with what is missing and the command that installs it
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const site = siteOf(options)
  const self = ownProcess()
  const { addresses, state } = await bringUp(site, options, (before) => ({ users: [...before.users, self] }))
  return {
    env: addresses,
    pids: pidsOf(state),
    kafkaClasspath: await classpathOrNull(site),
    stop: () => leave(site, self),
  }
}

/** `stack -- up`: as `startStack`, and the servers stay until `stopStack`. */
export async function keepStack(options: StackOptions = {}): Promise<StackEnvironment> {
  const { addresses } = await bringUp(siteOf(options), options, () => ({ kept: true }))
  return addresses
}

/** `stack -- down`: stops every server that the stack started, whoever uses it. Returns their names. */
export async function stopStack(options: StackOptions = {}): Promise<ServerName[]> {
  const site = siteOf(options)
  return exclusively(site.directory, async () => {
    const state = readState(site.directory)
    const names = serverNames.filter((name) => state.servers[name] !== undefined)
    await stopAll(site, { ...state, kept: false, users: [] })
    return names
  })
}

/** The programs of Kafka's distribution, for tools and judges; null where Java, Maven or the network is missing. */
async function classpathOrNull(site: Site): Promise<string | null> {
  try {
    return (await findKafka(site)).classpath
  } catch (error) {
    site.progress(`without Kafka's own tools: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

async function bringUp(
  site: Site,
  options: StackOptions,
  change: (before: StackState) => Partial<StackState>,
): Promise<{ addresses: StackEnvironment; state: StackState }> {
  const environment = options.environment ?? process.env
  const waiting = (): void => site.progress('another command is starting or stopping the servers; waiting …')
  return exclusively(
    site.directory,
    async () => {
      const before = readState(site.directory)
      let state = { ...before, users: before.users.filter(isAlive) }
      const record = (name: ServerName, server: RunningServer | undefined): void => {
        const servers = { ...state.servers, [name]: server }
        const lastPorts =
          server === undefined ? state.lastPorts : { ...state.lastPorts, [name]: server.ports }
        state = { ...state, servers, lastPorts }
        writeState(site.directory, state)
      }
      let docker: Promise<boolean> | undefined
      const hasDocker = (): Promise<boolean> => {
        docker ??= options.nativeOnly === true ? Promise.resolve(false) : dockerAnswers()
        return docker
      }
      const wanted = options.only ?? serverNames
      const found = await Promise.allSettled(
        wanted.map((name) => bringUpOne(name, { site, environment, before: state, record, hasDocker })),
      )
      const failures = found.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      if (failures.length > 0) {
        if (!state.kept && state.users.length === 0) await stopAll(site, state)
        throw combine(failures)
      }
      state = { ...state, ...change(state) }
      writeState(site.directory, state)
      const parts = found.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      return { addresses: Object.assign({}, noAddresses, ...parts) as StackEnvironment, state }
    },
    waiting,
  )
}

interface Search {
  readonly site: Site
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly before: StackState
  record(name: ServerName, server: RunningServer | undefined): void
  hasDocker(): Promise<boolean>
}

async function bringUpOne(name: ServerName, search: Search): Promise<Partial<StackEnvironment>> {
  const { site, before, environment } = search
  const recorded = before.servers[name]
  const own = ownAddresses(name, before, site)
  const named = addressesFromEnvironment(name, environment, site, own)
  if (named !== null) {
    await checkAddress(name, named)
    return named
  }
  if (recorded !== undefined) {
    if (await stillServes(name, recorded, site)) return addressesOf(name, recorded, site)
    await stopRecorded(name, recorded)
    search.record(name, undefined)
  }
  if (await search.hasDocker()) {
    const server = await startInDocker(name, search)
    if (server !== null) return addressesOf(name, server, site)
  }
  const lastPorts = before.lastPorts[name] ?? []
  const toRecord = (started: { process: ProcessId; ports: readonly number[] }): RunningServer => ({
    kind: 'native',
    process: started.process,
    ports: [...started.ports],
  })
  const started = await startNative(natives[name], site, lastPorts, (early) =>
    search.record(name, toRecord(early)),
  )
  return addressesOf(name, toRecord(started), site)
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

async function leave(site: Site, self: ProcessId): Promise<void> {
  await exclusively(site.directory, async () => {
    const state = readState(site.directory)
    const index = state.users.findIndex((user) => user.pid === self.pid && user.started === self.started)
    const users = state.users.filter((user, position) => position !== index && isAlive(user))
    if (state.kept || users.length > 0) writeState(site.directory, { ...state, users })
    else await stopAll(site, { ...state, users })
  })
}

async function stopAll(site: Site, state: StackState): Promise<void> {
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

async function stopRecorded(name: ServerName, server: RunningServer): Promise<void> {
  if (server.kind === 'docker') await composeStop(name)
  else await stopProcess(server.process, natives[name].stopSignal, stopGraceMs)
}

function pidsOf(state: StackState): Partial<Record<ServerName, number>> {
  const pids: Partial<Record<ServerName, number>> = {}
  for (const name of serverNames) {
    const server = state.servers[name]
    if (server?.kind === 'native') pids[name] = server.process.pid
  }
  return pids
}

function siteOf(options: StackOptions): Site {
  const directory = resolve(options.directory ?? defaultStackDirectory)
  return { directory, progress: options.onProgress ?? (() => undefined) }
}

function ownProcess(): ProcessId {
  const self = identify(process.pid)
  if (self === null) throw new Error('this process cannot be found in the process table')
  return self
}

function combine(failures: readonly unknown[]): Error {
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
  return new AggregateError(failures, messages.join('\n'))
}
