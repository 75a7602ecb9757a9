import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DeadLetterView } from '../../src/api/present.ts'
import { createDecoder } from '../../src/domain/decode.ts'
import { sha256 } from '../../src/domain/hash.ts'
import { encodeHeaders } from '../../src/domain/headers.ts'
import { recordLeaf } from '../../src/domain/leaf.ts'
import { type LogEntry, leafIndex, offset } from '../../src/domain/model.ts'
import type { PresentedEvent } from '../../src/domain/presentEvent.ts'
import { eventCustody } from '../../src/evidence/custody.ts'
import type { CheckpointStore, LogState } from '../../src/ports.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { randomIdentity, requestFor, sourceRecords } from '../store/entries.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { validEvent } from '../support/source.ts'
import { type Edge, postJson, startEdge } from './edge.ts'

let server: TestDatabase
let database: Database
let store: Store
let edge: Edge
const decode = createDecoder({ maxValueBytes: 1_048_576, fastPath: true })
const topic = 'events'
const shared = randomUUID()

/** Values as a producer sends them, through the real decoder, into a log of their own. */
async function logOf(partition: number, values: readonly (Buffer | string | null)[]): Promise<LogState> {
  const identity = randomIdentity(partition, topic)
  const log = await store.writer.openLog(identity, offset(0n), 0)
  const records = sourceRecords(
    values.map((value, index) => ({
      offset: BigInt(index),
      value: typeof value === 'string' ? Buffer.from(value) : value,
      headers: encodeHeaders([['trace', Buffer.from([0xff, index])]]),
    })),
  )
  const entries = values.map((_value, index): LogEntry => {
    const decoded = decode(records.bytes, records.valueStarts[index] ?? -1, records.valueEnds[index] ?? -1)
    return { kind: 'record', records, index, decoded, leaf: recordLeaf(records, index) }
  })
  const request = requestFor(log, log.position, entries, BigInt(values.length))
  await store.writer.append(await store.writer.prepare(request), async () => identity.topicId)
  return log
}

beforeAll(async () => {
  server = await createTestDatabase('api')
  database = createDatabase({ url: server.appUrl })
  store = createStore(database)
  edge = await startEdge({
    operations: { eventCustody: (event) => eventCustody(store, event) },
    queries: { ...store.queries, ...store.checkpoints },
  })
  const numbered = (count: number, source: string) =>
    Array.from({ length: count }, (_, i) =>
      JSON.stringify(validEvent({ source, type: i % 2 === 0 ? 'even' : 'odd', extra: { kept: true } })),
    )
  await logOf(0, [...numbered(120, 'zero'), JSON.stringify(validEvent({ id: shared }))])
  await logOf(1, [
    JSON.stringify(validEvent({ id: shared })),
    Buffer.from([0x22, 0xff]),
    null,
    `"${'é'.repeat(5_000)}"`,
  ])
})
afterAll(async () => {
  await edge.close()
  await database.close()
  await server.drop()
})

interface List<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}
const get = async <T>(path: string): Promise<T> => (await (await fetch(`${edge.url}${path}`)).json()) as T

describe('GET /events', () => {
  test('walks the log in order by cursor, each event once', async () => {
    const offsets: string[] = []
    let cursor: string | null = null
    let pages = 0
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const page: List<PresentedEvent> = await get(`/events?topic=${topic}&partition=0&limit=50${query}`)
      expect(page.items.length).toBeLessThanOrEqual(50)
      offsets.push(...page.items.map((event) => event.offset))
      cursor = page.nextCursor
      pages += 1
    } while (cursor !== null)
    expect(offsets).toEqual(Array.from({ length: 121 }, (_, i) => String(i)))
    expect(pages).toBeGreaterThanOrEqual(3)
  })

  test('filters by each of its fields', async () => {
    const count = async (query: string) =>
      (await get<List<unknown>>(`/events?limit=1000&${query}`)).items.length
    expect(await count('type=odd')).toBe(60)
    expect(await count('source=zero')).toBe(120)
    expect(await count('tenantId=tenant-001')).toBe(122)
    expect(await count('tenantId=nobody')).toBe(0)
    expect(await count('classification=SECRET')).toBe(0)
    expect(await count('topic=other')).toBe(0)
    expect(await count('partition=1')).toBe(1)
    expect(await count('partition=0&fromOffset=10&toOffset=20')).toBe(10)
  })

  test('shows the seed’s shape with provenance, and the place in the log', async () => {
    const [event] = (await get<List<PresentedEvent>>('/events?limit=1&partition=0')).items
    expect(event).toMatchObject({
      type: 'even',
      source: 'zero',
      timestamp: 1_760_000_000_000,
      data: { name: 'Ada', score: 0.5, tags: ['a', 'b'] },
      metadata: { version: '1', tenantId: 'tenant-001', correlationId: 'c-1' },
      extra: { kept: true },
      provenance: {
        hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        policyTags: [],
        classification: 'UNCLASSIFIED',
        source: 'zero',
        ingestionTime: expect.any(Number),
        transformations: [{ operation: 'ingest', timestamp: expect.any(Number) }],
      },
      leafHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      topic,
      partition: 0,
      offset: '0',
      leafIndex: '0',
    })
  })

  test('refuses a range that ends before it begins, and takes an empty one', async () => {
    const response = await fetch(`${edge.url}/events?partition=0&fromOffset=6&toOffset=5`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      code: 'BAD_REQUEST',
      errors: [{ path: 'toOffset', message: 'must not be less than fromOffset' }],
    })
    expect(await get('/events?partition=0&fromOffset=5&toOffset=5')).toEqual({ items: [], nextCursor: null })
  })

  test('refuses a cursor that it did not give', async () => {
    const response = await fetch(`${edge.url}/events?cursor=abc`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ path: 'cursor' }] })
  })
})

describe('GET /events/:id', () => {
  test('finds an event by its id in any case', async () => {
    const [event] = (await get<List<PresentedEvent>>('/events?limit=1&partition=0')).items
    const { custody, ...found } = await get<PresentedEvent & { custody: unknown }>(
      `/events/${event?.id.toUpperCase()}`,
    )
    expect(found).toEqual(event)
    expect(custody).toMatchObject({ leafHash: event?.leafHash, contentHash: event?.provenance.hash })
  })

  test('asks which one is meant when several logs hold the id', async () => {
    const response = await fetch(`${edge.url}/events/${shared}`)
    expect(response.status).toBe(409)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(await response.json()).toMatchObject({
      code: 'EVENT_AMBIGUOUS',
      candidates: [
        { topic, partition: 0, offset: '120' },
        { topic, partition: 1, offset: '0' },
      ],
    })
    expect(await get(`/events/${shared}?topic=${topic}&partition=1`)).toMatchObject({ partition: 1 })
  })

  test('is a 404 for an id that no log holds', async () => {
    const response = await fetch(`${edge.url}/events/${randomUUID()}`)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: 'EVENT_NOT_FOUND' })
  })
})

describe('GET /dead-letters', () => {
  test('shows the bytes whole and what of them is text', async () => {
    const { items } = await get<List<DeadLetterView>>(`/dead-letters?topic=${topic}`)
    expect(items.map(({ code }) => code)).toEqual(['INVALID_UTF8', 'TOMBSTONE', 'SCHEMA'])
    const [bad, tombstone, long] = items
    expect(bad).toMatchObject({
      partition: 1,
      offset: '1',
      value: Buffer.from([0x22, 0xff]).toString('base64'),
      key: Buffer.from('key-1').toString('base64'),
      preview: { key: 'key-1', headers: [{ key: 'trace', value: null }] },
    })
    expect(bad?.preview.value).toBeUndefined()
    expect(Buffer.from(bad?.headers ?? '', 'base64')).toEqual(
      encodeHeaders([['trace', Buffer.from([0xff, 1])]]),
    )
    expect(tombstone?.value).toBeNull()
    expect(Buffer.from(long?.value ?? '', 'base64').length).toBe(10_002)
    expect(long?.preview.value).toBe(`"${'é'.repeat(499)}`)
  })

  test('filters by code', async () => {
    const { items } = await get<List<DeadLetterView>>('/dead-letters?code=TOMBSTONE')
    expect(items).toHaveLength(1)
  })
})

describe('checkpoints', () => {
  const checkpoint = (log: LogState, id: string): Parameters<CheckpointStore['insertCheckpoint']>[0] => ({
    id,
    topic: log.identity.topic,
    partition: null,
    offset: null,
    createdBy: 'ada',
    positions: [
      {
        logId: log.logId,
        partition: log.identity.partition,
        offset: offset(5n),
        size: leafIndex(5n),
        rootHash: sha256('root'),
        note: null,
      },
    ],
  })

  test('are shown by id and as the latest, and are a 404 before there is one', async () => {
    expect((await fetch(`${edge.url}/checkpoints/latest`)).status).toBe(404)
    const log = await store.writer.findLog(topic, 0)
    if (log === null) throw new Error('the log is missing')
    const id = randomUUID()
    await store.checkpoints.insertCheckpoint(checkpoint(log, id))
    const shown = {
      id,
      topic,
      createdAt: expect.stringMatching(/Z$/),
      createdBy: 'ada',
      positions: [
        {
          partition: 0,
          offset: '5',
          size: '5',
          rootHash: Buffer.from(sha256('root'), 'latin1').toString('hex'),
          signedBy: [],
          heldBy: [],
        },
      ],
    }
    expect(await get(`/checkpoint/${id}`)).toEqual(shown)
    expect(await get(`/checkpoints/latest?topic=${topic}&partition=0`)).toEqual(shown)
    expect((await fetch(`${edge.url}/checkpoints/latest?topic=other`)).status).toBe(404)
    expect((await fetch(`${edge.url}/checkpoints/latest?partition=7`)).status).toBe(404)
    expect((await fetch(`${edge.url}/checkpoint/${randomUUID()}`)).status).toBe(404)
  })
})

describe('the record of actions', () => {
  const rows = () =>
    withClient(server.adminUrl, async (client) => {
      const { rows } = await client.query(
        'select actor, action, target, outcome, request_id, detail from operator_actions order by id',
      )
      return rows
    })

  test('holds accepted and refused ones', async () => {
    const headers = { 'X-Requested-By': 'ada' }
    await postJson(`${edge.url}/replay`, { topic }, { ...headers, 'X-Request-Id': 'r1' })
    await postJson(`${edge.url}/replay`, { topic, 'odd\u0000name': 1 }, { ...headers, 'X-Request-Id': 'r2' })
    await postJson(`${edge.url}/replay/r-1/cancel`, {}, { ...headers, 'X-Request-Id': 'r3' })
    expect(await rows()).toEqual([
      {
        actor: 'ada',
        action: 'replay.start',
        target: topic,
        outcome: 'accepted',
        request_id: 'r1',
        detail: { replayId: expect.any(String), topic },
      },
      expect.objectContaining({ action: 'replay.start', outcome: 'BAD_REQUEST', request_id: 'r2' }),
      expect.objectContaining({ action: 'replay.cancel', target: 'r-1', outcome: 'accepted' }),
    ])
  })

  test('is append-only for the service itself', async () => {
    await expect(database.readers.query('delete from operator_actions')).rejects.toMatchObject({
      code: '42501',
    })
  })
})

test('without a database, reads and actions are 503 and nothing is started', async () => {
  const nowhere = createDatabase({ url: 'postgres://app:hunter2@127.0.0.1:1/none', connectTimeoutMs: 1_000 })
  const away = createStore(nowhere)
  const own = await startEdge({ queries: { ...away.queries, ...away.checkpoints } })
  const answers = await Promise.all([
    fetch(`${own.url}/events`),
    fetch(`${own.url}/checkpoints/latest`),
    postJson(`${own.url}/replay`, { topic }),
  ])
  for (const answer of answers) {
    expect(answer.status).toBe(503)
    const text = await answer.text()
    expect(text).toContain('"DATABASE_UNAVAILABLE"')
    expect(text).not.toMatch(/hunter2|ECONNREFUSED/)
  }
  expect(own.calls).toEqual(['checkReplay'])
  await own.close()
  await nowhere.close()
})
