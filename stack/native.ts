import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './ports.ts'
import { logTail, type ProcessId, type ServerCommand, startServer, stopProcess } from './process.ts'
import type { ServerName } from './state.ts'

export type Progress = (message: string) => void

/** Where a server lives and whom it tells how far it is. */
export interface Site {
  readonly directory: string
  readonly progress: Progress
}

/** A server that is started from its own program, without containers. */
export interface NativeServer {
  readonly name: ServerName
  readonly portCount: number
  /** Ends it in order and at once, clients or not. */
  readonly stopSignal: NodeJS.Signals
  readonly readyLimitMs: number
  /** Finds or installs the program; says what is missing and how to install it. Sets up data once. */
  prepare(site: Site): Promise<(ports: readonly number[]) => ServerCommand>
  /** Resolves when the server serves; rejects while it does not. Bounded by itself. */
  check(site: Site, ports: readonly number[]): Promise<void>
}

/** Longest wait for an orderly end; `dev` promises ten seconds for everything. */
export const stopGraceMs = 6_000

export interface StartedServer {
  readonly process: ProcessId
  readonly ports: readonly number[]
}

const attempts = 3

/**
 * Starts the server and returns when it serves. A port lost to somebody between the choice and the start, or the
 * remains of a killed predecessor, are worth another try; the last failure tells the end of the server's log.
 */
export async function startNative(
  server: NativeServer,
  site: Site,
  wantedPorts: readonly number[],
  onStarted: (started: StartedServer) => void,
): Promise<StartedServer> {
  const launch = await server.prepare(site)
  site.progress(`starting ${server.name} …`)
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(server.portCount, attempt < attempts ? wantedPorts : [])
    const command = launch(ports)
    const { child, id } = await startServer(command)
    const started = { process: id, ports }
    onStarted(started)
    try {
      await untilReady(server, site, ports, () => child.exitCode !== null || child.signalCode !== null)
      return started
    } catch (cause) {
      await stopProcess(id, server.stopSignal, stopGraceMs)
      if (attempt < attempts) continue
      const tail = logTail(command.logFile)
      throw new Error(`${server.name} did not start; the end of ${command.logFile}:\n${tail}`, { cause })
    }
  }
}

async function untilReady(
  server: NativeServer,
  site: Site,
  ports: readonly number[],
  ended: () => boolean,
): Promise<void> {
  const deadline = Date.now() + server.readyLimitMs
  for (;;) {
    try {
      return await server.check(site, ports)
    } catch (error) {
      if (ended()) throw new Error(`${server.name} ended while it started`, { cause: error })
      if (Date.now() > deadline) {
        throw new Error(`${server.name} was not ready after ${server.readyLimitMs / 1000} s`, {
          cause: error,
        })
      }
    }
    await sleep(100)
  }
}
