import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { ServiceError } from '../../src/errors.ts'
import { createDatabase } from '../../src/store/database.ts'
import { storeError } from '../../src/store/failure.ts'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
import { eventEntries, requestFor } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('failure')

const serverError = (code: string) => Object.assign(new Error('secret words'), { code, severity: 'ERROR' })

test('what the server says becomes a code from the closed list, without its words', () => {
  const codes = Object.fromEntries(
    [
      '08006',
      '40001',
      '40P01',
      '53300',
      '57P01',
      '57014',
      '55P03',
      '28P01',
      '42P01',
      '42501',
      '3D000',
      '22P02',
      'XX000',
    ].map((state) => [state, storeError(serverError(state), 'testing')]),
  )
  expect(Object.fromEntries(Object.entries(codes).map(([state, error]) => [state, error.code]))).toEqual({
    '08006': 'DATABASE_UNAVAILABLE',
    '40001': 'DATABASE_UNAVAILABLE',
    '40P01': 'DATABASE_UNAVAILABLE',
    '53300': 'DATABASE_UNAVAILABLE',
    '57P01': 'DATABASE_UNAVAILABLE',
    '57014': 'DATABASE_UNAVAILABLE',
    '55P03': 'DATABASE_UNAVAILABLE',
    '28P01': 'DATABASE_UNAVAILABLE',
    '42P01': 'SCHEMA_OUTDATED',
    '42501': 'SCHEMA_OUTDATED',
    '3D000': 'SCHEMA_OUTDATED',
    '22P02': 'INTERNAL',
    XX000: 'INTERNAL',
  })
  for (const [state, error] of Object.entries(codes)) {
    expect(error.message).toContain(state)
    expect(error.message).not.toContain('secret')
  }
})

test('lost connections are told by code, message or cause; our own errors pass', () => {
  const wrapped = new Error('Failed query: select 1', {
    cause: new Error('Connection terminated unexpectedly'),
  })
  const refused = Object.assign(
    new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]),
    {},
  )
  for (const error of [wrapped, refused, Object.assign(new Error('x'), { code: 'EPIPE' })])
    expect(storeError(error, 'testing').code).toBe('DATABASE_UNAVAILABLE')
  expect(storeError(new TypeError('a bug'), 'testing').code).toBe('INTERNAL')
  const own = new ServiceError('CLOCK_LEAP', 'mine')
  expect(storeError(own, 'testing')).toBe(own)
})

test('nobody answers: every operation says so, in time', async () => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const address = silent.address()
  const silentPort = typeof address === 'object' && address !== null ? address.port : 0
  for (const port of [1, silentPort]) {
    const database = createDatabase({
      url: `postgres://user:hunter2@127.0.0.1:${port}/x`,
      connectTimeoutMs: 300,
    })
    const store = createStore(database)
    for (const work of [
      () => store.writer.findLog('t', 0),
      () => store.reader.logsOf('t'),
      () => store.schema.check(),
      () => store.replays.getReplay('x'),
      () => store.queries.findEvents({ limit: 1 }),
    ]) {
      const error: Error = await work().then(
        () => new Error('answered'),
        (reason: Error) => reason,
      )
      expect(error).toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
      expect(String(error.stack)).not.toContain('hunter2')
    }
    await database.close()
  }
  silent.close()
})

const terminate = (suffix: string) =>
  withClient(fixture.database.adminUrl, (client) =>
    client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like '%' || $1`,
      [suffix],
    ),
  )

test('a connection lost inside an append leaves nothing, and the same append succeeds afterwards', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const request = requestFor(open.log, open.position, eventEntries(0n, 2_000n), 2_000n)
  const prepared = await store.writer.prepare(request)
  const cut = store.writer.append(prepared, async () => {
    await terminate('/append')
    return open.log.identity.topicId
  })
  await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' })
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.position).toEqual(open.position)
  expect(await store.writer.append(prepared, async () => open.log.identity.topicId)).toMatchObject({
    kind: 'appended',
    events: 2_000,
  })
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.position).toEqual(request.next)
})

test('idle connections that the server cut are replaced', async () => {
  const lost: Error[] = []
  const database = createDatabase({
    url: fixture.database.appUrl,
    onConnectionLost: (error) => lost.push(error),
  })
  const store = createStore(database)
  await store.schema.check()
  await terminate('/read')
  await expect.poll(() => lost.length, { timeout: 20_000 }).toBeGreaterThan(0)
  expect(await store.schema.check()).toBe('ready')
  await database.close()
  await database.close()
})

test('an append that never ends loses its connection', async () => {
  const store = createStore(fixture.connections, { appendTimeoutMs: 200 })
  const open = await openLog(store)
  const prepared = await store.writer.prepare(requestFor(open.log, open.position, eventEntries(0n, 5n), 5n))
  const never = new Promise<string>(() => undefined)
  await expect(store.writer.append(prepared, () => never)).rejects.toMatchObject({
    code: 'DATABASE_UNAVAILABLE',
  })
  expect((await store.writer.findLog(open.log.identity.topic, 0))?.position).toEqual(open.position)
})

test('a table that is missing is an outdated schema', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await withClient(fixture.database.adminUrl, (client) =>
    client.query('alter table log_nodes rename to hidden'),
  )
  await expect(appendTo(store, open, eventEntries(0n, 1n), 1n)).rejects.toMatchObject({
    code: 'SCHEMA_OUTDATED',
    message: expect.not.stringContaining('log_nodes'),
  })
  await withClient(fixture.database.adminUrl, (client) =>
    client.query('alter table hidden rename to log_nodes'),
  )
  expect(await appendTo(store, open, eventEntries(0n, 1n), 1n)).toMatchObject({ kind: 'appended' })
})
