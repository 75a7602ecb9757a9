import { withClient } from '../run/world.ts'

/** Sessions of ingest that append, as `application_name` tells them. */
const appending = `datname = current_database() and application_name like '%/append'`

/** What ingest has under way in a database, asked by its owner, directly. */
export class AppendSessions {
  readonly #ownerUrl: string

  constructor(ownerUrl: string) {
    this.#ownerUrl = ownerUrl
  }

  /** PostgreSQL's clock now, for `openSince`. */
  now(): Promise<string> {
    return this.#one('select clock_timestamp()::text as answer')
  }

  /** Append transactions that were begun before then, have locked their log, and are still open. */
  openSince(moment: string): Promise<number> {
    return this.#count('xact_start < $1::timestamptz and backend_xid is not null', [moment])
  }

  /** Appends that wait for a lock, which another one holds. */
  blocked(): Promise<number> {
    return this.#count(`wait_event_type = 'Lock'`)
  }

  /** Sessions, whether they append now or not. */
  count(): Promise<number> {
    return this.#count('true')
  }

  /** How long the oldest open append has taken so far, ms; 0 when there is none. */
  async longestMs(): Promise<number> {
    const text = `select coalesce(max(extract(epoch from clock_timestamp() - xact_start) * 1000), 0)::text as answer
                    from pg_stat_activity where ${appending}`
    return Number(await this.#one(text))
  }

  /** pg_terminate_backend for every connection of the application's role; returns how many there were. */
  async terminateAll(applicationRole: string): Promise<number> {
    const text = `select count(*) filter (where pg_terminate_backend(pid))::text as answer
                    from pg_stat_activity where datname = current_database() and usename = $1`
    return Number(await this.#one(text, [applicationRole]))
  }

  async #count(condition: string, values: readonly string[] = []): Promise<number> {
    const text = `select count(*)::text as answer from pg_stat_activity where ${appending} and ${condition}`
    return Number(await this.#one(text, values))
  }

  #one(text: string, values: readonly string[] = []): Promise<string> {
    return withClient(this.#ownerUrl, async (client) => {
      const { rows } = await client.query<{ answer: string }>(text, [...values])
      return rows[0]?.answer ?? ''
    })
  }
}
