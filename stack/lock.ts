import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/** Starting everything from nothing may compile the Temporal CLI: minutes. */
const waitLimitMs = 15 * 60_000

/**
 * Runs `work` while no other process does so for the same directory. The lock is SQLite's on a file: the kernel
 * lets go of it when its holder dies, so it can never be stale.
 */
export async function exclusively<T>(
  directory: string,
  work: () => Promise<T>,
  onWait: () => void = () => undefined,
): Promise<T> {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const database = new DatabaseSync(join(directory, 'lock.db'), { timeout: 0 })
  try {
    await take(database, directory, onWait)
    return await work()
  } finally {
    database.close()
  }
}

async function take(database: DatabaseSync, directory: string, onWait: () => void): Promise<void> {
  const deadline = Date.now() + waitLimitMs
  for (let waits = 0; ; waits++) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return
    } catch (error) {
      if (!isBusy(error)) throw error
    }
    if (Date.now() > deadline) throw new Error(`another command has been busy with ${directory} for too long`)
    // A second of silence first: most holders are done by then.
    if (waits === 20) onWait()
    await sleep(50)
  }
}

/** SQLITE_BUSY, see https://sqlite.org/rescode.html#busy */
const isBusy = (error: unknown): boolean =>
  error instanceof Error &&
  'errcode' in error &&
  typeof error.errcode === 'number' &&
  (error.errcode & 0xff) === 5
