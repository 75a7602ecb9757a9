import { setTimeout as sleep } from 'node:timers/promises'
import type { PoolClient } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Passage } from '../../bench/faults/contract.ts'
import { openPassage } from '../../bench/faults/passage/passage.ts'
import { openRecovery } from '../../src/store/archive/recovery.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const silence = { silentMs: 400, againMs: 200, lookMs: 1_000 }
/** Two looks take some two seconds at most; TCP would give up after minutes. */
const soonMs = 20_000

let database: TestDatabase
let passage: Passage
let connections: Database

beforeAll(async () => {
  database = await createTestDatabase('silence')
  const url = new URL(database.appUrl)
  passage = await openPassage({ target: url.host, protocol: 'raw' })
  url.host = passage.address
  connections = createDatabase({ url: url.href, silence })
})
afterAll(async () => {
  await connections.close()
  await passage.close()
  await database.drop()
})

/** How long it took until the work failed, and with what. */
async function failure(work: Promise<unknown>): Promise<{ readonly ms: number; readonly message: string }> {
  const startedMs = performance.now()
  try {
    await work
  } catch (error) {
    return { ms: performance.now() - startedMs, message: error instanceof Error ? error.message : '' }
  }
  throw new Error('it did not fail')
}

async function using(work: (client: PoolClient) => Promise<void>): Promise<void> {
  const client = await connections.appenders.connect()
  try {
    await work(client)
  } finally {
    client.release(true)
  }
}

it('gives up a connection that a router has forgotten, while the server can still be asked', async () => {
  await using(async (client) => {
    await client.query('begin')
    passage.silence()
    const { ms, message } = await failure(client.query('select 1'))
    expect(message).toContain('nothing that was sent on it arrives')
    expect(ms).toBeLessThan(soonMs)
  })
})

it('gives up what recovers a database likewise, which writes on one connection', async () => {
  const url = new URL(database.adminUrl)
  url.host = passage.address
  const recovery = await openRecovery(url.href, new AbortController().signal, silence)
  const { ms, message } = await failure(
    recovery.inTransaction(async (writer) => {
      passage.silence()
      await writer.judgeRepeats()
    }),
  )
  expect(message).toBe('No connection to the database while recovering')
  expect(ms).toBeLessThan(soonMs)
  await recovery.close()
})

it('drops the idle connections with it, which are forgotten too', async () => {
  const [one, other] = [await connections.appenders.connect(), await connections.readers.connect()]
  const { readers } = connections
  other.release()
  expect(readers.idleCount).toBe(1)
  await one.query('begin')
  passage.silence()
  await failure(one.query('select 1'))
  one.release(true)
  expect(readers.totalCount).toBe(0)
  expect((await readers.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

it('gives up a connection when the server cannot be asked either', async () => {
  await using(async (client) => {
    passage.deafen()
    const { ms, message } = await failure(client.query('select 1'))
    passage.reset()
    expect(message).toContain('nothing that was sent on it arrives')
    expect(ms).toBeLessThan(soonMs)
  })
})

it('leaves a server alone that is at work, and a client that has nothing to ask', async () => {
  await using(async (client) => {
    const { rows } = await client.query('select pg_sleep(2)::text, 1 as one')
    expect(rows).toEqual([{ pg_sleep: '', one: 1 }])
    await sleep(1_500)
    expect((await client.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  })
})

it('leaves a session alone that waits for a lock', async () => {
  await using((holder) =>
    using(async (waiter) => {
      await holder.query('select pg_advisory_lock(7)')
      const waiting = waiter.query('select 1 as got from pg_advisory_lock(7)')
      await sleep(2_000)
      await holder.query('select pg_advisory_unlock(7)')
      expect((await waiting).rows).toEqual([{ got: 1 }])
    }),
  )
})
