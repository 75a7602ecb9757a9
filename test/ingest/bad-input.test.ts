import type { Pool } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

/** What is wrong with each record, the bytes, and the code it must get. */
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const metadata = { version: '1' }
const sameId = validEvent()
const bad: readonly (readonly [string, Buffer | null, string])[] = [
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 'INVALID_UTF8'],
  ['invalid JSON', Buffer.from('{"id":'), 'INVALID_JSON'],
  ['JSON nested 10,000 deep', Buffer.from('['.repeat(10_000) + ']'.repeat(10_000)), 'TOO_DEEP'],
  ['a missing field', json({ ...validEvent(), type: undefined }), 'SCHEMA'],
  ['a mistyped field', json(validEvent({ timestamp: 'yesterday' })), 'SCHEMA'],
  ['an id that is no UUID', json(validEvent({ id: '42' })), 'SCHEMA'],
  ['data that is an array', json(validEvent({ data: [] })), 'SCHEMA'],
  ['a null value', null, 'TOMBSTONE'],
  ['a wrong hash', json(validEvent({ provenance: { hash: 'a'.repeat(64) } })), 'HASH_MISMATCH'],
  ['an unknown classification', json(validEvent({ provenance: { classification: 'COSMIC' } })), 'SCHEMA'],
  ['NUL in the type', json(validEvent({ type: 'a\0b' })), 'SCHEMA'],
  ['NUL in the source', json(validEvent({ source: 'a\0b' })), 'SCHEMA'],
  ['NUL in the tenant', json(validEvent({ metadata: { ...metadata, tenantId: 'a\0b' } })), 'SCHEMA'],
  [
    'a lone surrogate in the type',
    Buffer.from(JSON.stringify(validEvent()).replace('entity.created', '\\ud800')),
    'SCHEMA',
  ],
  ['a lone surrogate in data', Buffer.from(JSON.stringify(validEvent()).replace('Ada', '\\udc00')), 'SCHEMA'],
  ['a type over 256 characters', json(validEvent({ type: 'x'.repeat(257) })), 'SCHEMA'],
  ['a source over 256 characters', json(validEvent({ source: 'x'.repeat(257) })), 'SCHEMA'],
  [
    'a tenant over 256 characters',
    json(validEvent({ metadata: { ...metadata, tenantId: 'x'.repeat(257) } })),
    'SCHEMA',
  ],
  ['a negative timestamp', json(validEvent({ timestamp: -1 })), 'SCHEMA'],
  ['a fractional timestamp', json(validEvent({ timestamp: 1.5 })), 'SCHEMA'],
  ['a timestamp out of range', json(validEvent({ timestamp: 253_402_300_800_000 })), 'SCHEMA'],
  ['a value over the limit', json(validEvent({ data: { blob: 'x'.repeat(300_000) } })), 'TOO_LARGE'],
  ['one id twice in a batch', json(sameId), 'DUPLICATE_ID'],
  ['one id twice with other content', json({ ...sameId, type: 'entity.updated' }), 'ID_CONFLICT'],
]

let kafka: TestKafka
let database: TestDatabase
let sql: Pool

beforeAll(async () => {
  kafka = await TestKafka.connect()
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
})
afterAll(async () => {
  await kafka.close()
  await sql.end()
  await database.drop()
})

it('each bad record becomes a dead letter with its code and its bytes, and the partition goes on', async () => {
  const topic = await kafka.topic(1)
  const nulInData = validEvent({ data: { text: 'a\0b' } })
  const protoKeys = Buffer.from(
    JSON.stringify(validEvent()).replace('"name":', '"__proto__":{"polluted":true},"name":'),
  )
  const records: { value: Buffer | null; key: string; timestamp?: string }[] = [
    { key: 'first', value: json(sameId) },
    ...bad.map(([name, value]) => ({ key: name, value })),
    { key: 'NUL in data is fine', value: json(nulInData) },
    { key: '__proto__ keys are fine', value: protoKeys },
    { key: 'an empty value', value: Buffer.alloc(0) },
    { key: 'last', value: json(validEvent()) },
  ]
  await kafka.producer.send({ topic, messages: records })
  const ingest = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: database.appUrl,
    MAX_VALUE_BYTES: '262144',
  })
  try {
    const total = records.length
    await until(
      async () => (await sql.query('select 1 from partition_logs where next_offset = $1', [total])).rowCount,
      30_000,
      () => ingest.output,
    )
    const letters = await sql.query('select key, code, value, detail from dead_letters order by "offset"')
    const seen = new Map(letters.rows.map((row) => [row.key.toString('utf8'), row]))
    for (const [name, value, code] of bad) {
      const letter = seen.get(name)
      expect(letter?.code, name).toBe(code)
      expect(letter?.value ?? null, name).toEqual(value)
      expect(letter?.detail.length, name).toBeGreaterThan(0)
    }
    expect(seen.get('an empty value')?.value).toEqual(Buffer.alloc(0))
    const events = await sql.query('select key from events order by "offset"')
    expect(events.rows.map((row) => row.key.toString())).toEqual([
      'first',
      'NUL in data is fine',
      '__proto__ keys are fine',
      'last',
    ])

    // The same id again in a later batch, with the same and with other content.
    await kafka.producer.send({ topic, messages: [{ key: 'later same', value: json(sameId) }] })
    await kafka.producer.send({
      topic,
      messages: [{ key: 'later other', value: json({ ...sameId, data: {} }) }],
    })
    await until(
      async () =>
        (await sql.query('select 1 from partition_logs where next_offset = $1', [total + 2])).rowCount,
      30_000,
      () => ingest.output,
    )
    const later = await sql.query(
      `select key, code from dead_letters where key::text like '%' and "offset" >= $1 order by "offset"`,
      [total],
    )
    expect(later.rows.map((row) => row.code)).toEqual(['DUPLICATE_ID', 'ID_CONFLICT'])
    const dense = await sql.query(
      `select count(*)::int as n, min(leaf_index)::int as low, max(leaf_index)::int as high from
         (select leaf_index from events union all select leaf_index from dead_letters) as leaves`,
    )
    expect(dense.rows[0]).toEqual({ n: total + 2, low: 0, high: total + 1 })
  } finally {
    expect((await ingest.stop()).tookMs).toBeLessThan(10_000)
  }
})
