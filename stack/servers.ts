import { resolve } from 'node:path'
import { bringUp, type Wanted } from './bring-up.ts'
import type { StackEnvironment } from './environment.ts'
import { findKafka } from './kafka-jars.ts'
import { exclusively } from './lock.ts'
import type { Progress, Site } from './native.ts'
import { defaultStackDirectory } from './paths.ts'
import { identify, type ProcessId } from './process.ts'
import { readState, type ServerName, type StackState, serverNames } from './state.ts'
import { leave, stopAll } from './stop.ts'

export interface StackOptions extends Partial<Wanted> {
  readonly onProgress?: Progress
  /** A stack of its own, with its own data and ports; `.stack` in the project when left out. */
  readonly directory?: string
}

export interface Stack {
  /** Addresses of the servers asked for; empty strings for the others. */
  readonly env: StackEnvironment
  /** The servers that the stack runs, not the ones that the environment named. */
  readonly own: readonly ServerName[]
  /** Process ids of those that run natively. */
  readonly pids: Readonly<Partial<Record<ServerName, number>>>
  /** `java -cp` of Kafka's broker and tools; null where Java, Maven or the network is missing. */
  readonly kafkaClasspath: string | null
  /** Stops what this call started, unless `stack -- up` or another process keeps it. */
  stop(): Promise<void>
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
  const change = (before: StackState): Partial<StackState> => ({ users: [...before.users, self] })
  const { addresses, own, state } = await bringUp(site, wantedOf(options), change)
  return {
    env: addresses,
    own,
    pids: pidsOf(state, own),
    kafkaClasspath: await classpathOrNull(site),
    stop: () => leave(site, self),
  }
}

/** `stack -- up`: as `startStack`, and the servers stay until `stopStack`. */
export async function keepStack(options: StackOptions = {}): Promise<StackEnvironment> {
  const { addresses } = await bringUp(siteOf(options), wantedOf(options), () => ({ kept: true }))
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

function pidsOf(state: StackState, names: readonly ServerName[]): Partial<Record<ServerName, number>> {
  const pids: Partial<Record<ServerName, number>> = {}
  for (const name of names) {
    const server = state.servers[name]
    if (server?.kind === 'native') pids[name] = server.process.pid
  }
  return pids
}

function wantedOf(options: StackOptions): Wanted {
  return {
    only: options.only ?? serverNames,
    nativeOnly: options.nativeOnly ?? false,
    environment: options.environment ?? process.env,
  }
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
