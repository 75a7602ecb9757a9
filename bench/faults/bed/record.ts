import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { exclusively } from '../../../stack/lock.ts'
import { postgresFolder } from '../../../stack/postgres.ts'
import { identify, isAlive, type ProcessId, stopProcess } from '../../../stack/process.ts'
import { writeAtomically } from '../../../stack/state.ts'
import type { LastSignal } from './site.ts'

const processId = z.object({ pid: z.int().positive(), started: z.string() })
const serverShape = processId.extend({ lastSignal: z.enum(['SIGKILL', 'SIGQUIT']) })
const recordShape = z.object({ owner: processId, servers: z.array(serverShape) })
type Contents = z.infer<typeof recordShape>

const endLimitMs = 6_000

/** Which processes a bed has started, on disk, so that the next one finds what a killed campaign has left behind. */
export class BedRecord {
  readonly #path: string
  readonly #directory: string
  #contents: Contents

  private constructor(directory: string, owner: ProcessId) {
    this.#directory = directory
    this.#path = pathIn(directory)
    this.#contents = { owner, servers: [] }
    this.#write()
  }

  /**
   * Takes the directory: servers in it that nobody owns any more are ended, and what they have left goes, their logs
   * included. @throws when another process uses it, or when it is a stack's
   */
  static async take(directory: string): Promise<BedRecord> {
    const owner = identify(process.pid)
    if (owner === null) throw new Error('this process cannot be found in the process table')
    return exclusively(directory, async () => {
      if (existsSync(join(directory, 'state.json')))
        throw new Error(`${directory} belongs to the local servers: name another one`)
      const former = read(directory)
      if (former !== null && isAlive(former.owner))
        throw new Error(`process ${former.owner.pid} uses ${directory}: wait for it, or end it`)
      const servers = former?.servers ?? []
      await Promise.all(servers.map((server) => stopProcess(server, server.lastSignal, endLimitMs)))
      removeData(directory)
      rmSync(logsIn(directory), { recursive: true, force: true })
      mkdirSync(logsIn(directory), { recursive: true })
      return new BedRecord(directory, owner)
    })
  }

  /** `lastSignal` ends the server at once; what it keeps on disk is of no interest then. */
  add(server: ProcessId, lastSignal: LastSignal): void {
    const servers = [...this.#contents.servers.filter(isAlive), { ...server, lastSignal }]
    this.#contents = { ...this.#contents, servers }
    this.#write()
  }

  /** The directory is free for others; the servers' data goes, the logs stay. */
  release(): void {
    removeData(this.#directory)
    rmSync(this.#path, { force: true })
  }

  #write(): void {
    writeAtomically(this.#path, `${JSON.stringify(this.#contents, null, 2)}\n`)
  }
}

export const logsIn = (directory: string): string => join(directory, 'logs')
const pathIn = (directory: string): string => join(directory, 'bed.json')

/** What a former bed has left; null when it was closed, or when there was none. */
function read(directory: string): Contents | null {
  if (!existsSync(pathIn(directory))) return null
  return recordShape.parse(JSON.parse(readFileSync(pathIn(directory), 'utf8')))
}

function removeData(directory: string): void {
  // The children of a killed PostgreSQL may write for a moment.
  for (const folder of [join(directory, 'kafka'), join(directory, 'temporal'), postgresFolder(directory)])
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}
