/** Days of a log that are old enough to be detached, and their detachment. */
import { randomUUID } from 'node:crypto'
import type { LogEntry } from '../../src/domain/model.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import { detachPartition } from '../../src/store/archive/detach.ts'
import { ageLog, appendTo, type Fixture, type OpenLog, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { useOneDay } from '../support/midnight.ts'
import { trueEvents } from '../verification/trueLog.ts'

const DAY_MS = 86_400_000
export const AGE = 10

export const day = (daysAgo: number): string =>
  new Date(Date.now() - daysAgo * DAY_MS).toISOString().slice(0, 10)
export const table = (of: string): string => `events_${of.replaceAll('-', '')}`

/** Of the events of a log, in order. */
export const daysOf = (platform: Fixture, { log }: OpenLog): Promise<string[]> =>
  withClient(platform.database.adminUrl, async (client) => {
    const { rows } = await client.query<{ day: string }>(
      `select distinct (ingested_at at time zone 'UTC')::date::text as day from events where log_id = $1 order by day`,
      [log.logId],
    )
    return rows.map(({ day }) => day)
  })

export function useDays({ platform }: { readonly platform: Fixture }) {
  useOneDay()
  return {
    /** What was detached, or the code and what is said. */
    detach: (
      of: string,
      {
        url = platform.database.adminUrl,
        reason = 'archived',
        signal = new AbortController().signal,
      }: { readonly url?: string; readonly reason?: string; readonly signal?: AbortSignal } = {},
    ): Promise<string> =>
      detachPartition(url, { day: of, reason }, signal).then(
        ({ events }) => events,
        (error: unknown) =>
          error instanceof ServiceError ? `${error.code}: ${error.message}` : String(error),
      ),

    attachAgain: (of: string): Promise<unknown> =>
      withClient(platform.database.adminUrl, (client) => {
        const to = new Date(Date.parse(of) + DAY_MS).toISOString().slice(0, 10)
        return client.query(
          `alter table events attach partition ${table(of)} for values from ('${of} 00:00+00') to ('${to} 00:00+00')`,
        )
      }),

    drop: (of: string): Promise<unknown> =>
      withClient(platform.database.adminUrl, (client) => client.query(`drop table ${table(of)}`)),

    /** That the first events of a log are of: which day it is while a test runs, nobody knows at midnight. */
    dayOf: async (open: OpenLog): Promise<string> => {
      const [first] = await daysOf(platform, open)
      return first ?? Promise.reject(new Error('there is no event'))
    },

    /** As if a checkpoint had been signed of so many leaves. */
    async signedAt({ log }: OpenLog, size: bigint): Promise<void> {
      const { topic, partition } = log.identity
      const rootHash = await platform.store.reader.rootAt(log.logId, leafIndex(size))
      const position = {
        logId: log.logId,
        partition,
        offset: offset(size),
        size: leafIndex(size),
        rootHash,
        note: 'x',
      }
      const asked = { id: randomUUID(), topic, partition: null, offset: null, createdBy: 'test' }
      await platform.store.checkpoints.insertCheckpoint({ ...asked, positions: [position] })
    },

    /** What is given some days ago, and 400 events of today: enough for the tail of the log to be of today. */
    async oldLog(
      old: { readonly entries: readonly LogEntry[]; readonly end: bigint } = {
        entries: trueEvents(0n, 300n),
        end: 300n,
      },
      daysAgo = AGE,
    ): Promise<OpenLog> {
      const open = await openLog(platform.store)
      await appendTo(platform.store, open, old.entries, old.end)
      await ageLog(platform, open, daysAgo)
      await appendTo(platform.store, open, trueEvents(old.end, old.end + 400n), old.end + 400n)
      return open
    },
  }
}
