import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, escapeIdentifier } from 'pg'
import { withClient, withDatabase } from '../run/world.ts'

const attempts = 100
const againMs = 50
/** object_in_use: a session that was terminated is not gone yet, or another one came in between. */
const inUse = '55006'

/** One database, put aside as it is now and put back later, as an administrator does it with a server that goes on. */
export class DatabaseBackup {
  readonly #adminUrl: string
  readonly #name: string

  /** `ownerUrl`: of the database. */
  constructor(ownerUrl: string) {
    this.#name = decodeURIComponent(new URL(ownerUrl).pathname.slice(1))
    this.#adminUrl = withDatabase(ownerUrl, 'postgres')
  }

  get #backup(): string {
    return `${this.#name}_backup`
  }

  /** Replaces an older backup. Whoever is connected loses his connection for it. */
  take(): Promise<void> {
    return withClient(this.#adminUrl, async (client) => {
      await this.#drop(client, this.#backup)
      await client.query(`alter database ${escapeIdentifier(this.#name)} allow_connections false`)
      try {
        await this.#terminate(client)
        await this.#copy(client, this.#name, this.#backup)
      } finally {
        await client.query(`alter database ${escapeIdentifier(this.#name)} allow_connections true`)
      }
    })
  }

  /** `absenceMs`: for so long there is no such database. */
  putBack(absenceMs: number): Promise<void> {
    return withClient(this.#adminUrl, async (client) => {
      await this.#drop(client, this.#name)
      await sleep(absenceMs)
      await this.#copy(client, this.#backup, this.#name)
    })
  }

  discard(): Promise<void> {
    return withClient(this.#adminUrl, (client) => this.#drop(client, this.#backup))
  }

  async #drop(client: Client, name: string): Promise<void> {
    await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`)
  }

  async #copy(client: Client, from: string, to: string): Promise<void> {
    const text = `create database ${escapeIdentifier(to)} template ${escapeIdentifier(from)}`
    for (let left = attempts; ; left--) {
      try {
        await client.query(text)
        return
      } catch (error) {
        const isInUse = error instanceof Error && 'code' in error && error.code === inUse
        if (!isInUse || left === 0) throw error
      }
      await sleep(againMs)
    }
  }

  async #terminate(client: Client): Promise<void> {
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
      this.#name,
    ])
  }
}
