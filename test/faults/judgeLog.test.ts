import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Damage, Score } from '../../bench/faults/contract.ts'
import { noDamage } from '../../bench/faults/damage.ts'
import { judgeLog, judgeLogIn, type LogExpectations, type LogJudgement } from '../../bench/faults/judgeLog.ts'
import { SteadyLoad } from '../../bench/faults/load.ts'
import { hashToBytes } from '../../src/domain/hash.ts'
import { gapLeaf } from '../../src/domain/leaf.ts'
import { offset } from '../../src/domain/model.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

/** Ingested once; each test damages it in a transaction of its own. Partition 0 has more than 256 leaves, so that a node is stored. */
const partitions = 2
let kafka: TestKafka
let original: TestDatabase
let score: Score

const signal = AbortSignal.timeout(300_000)

beforeAll(async () => {
  kafka = await TestKafka.connect()
  original = await createTestDatabase('judge')
  const topic = await kafka.topic(partitions, { 'retention.ms': '-1' })
  const brokers = testServers().kafkaBrokers
  const load = new SteadyLoad({ brokers, topic, partitions, seed: 11, signal })
  await load.produceBatches(20)
  await load.stop()
  score = load.score()
  await ingest(topic)
}, 60_000)

afterAll(async () => {
  await kafka.close()
  await original.drop()
})

async function ingest(topic: string): Promise<void> {
  const role = new PlatformProcess('ingest', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: original.appUrl,
  })
  const logged = (): Promise<number> =>
    withClient(original.adminUrl, async (client) => {
      const { rows } = await client.query('select coalesce(sum(size), 0)::int as size from partition_logs')
      return rows[0].size
    })
  await until(
    async () => (await logged()) >= score.produced,
    30_000,
    () => role.output,
  )
  await role.stop()
}

/** Runs the statements as a superuser who does not care for triggers, judges what is there then, and takes it back. */
async function judged(
  statements: string | ((client: Client) => Promise<unknown>),
  expectations: LogExpectations = {},
): Promise<LogJudgement> {
  return withClient(original.adminUrl, async (client) => {
    await client.query('begin')
    await disableTriggers(client)
    if (typeof statements === 'string') await client.query(statements)
    else await statements(client)
    return judgeLogIn(client, score, expectations, signal)
  })
}

async function disableTriggers(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select distinct tgrelid::regclass::text as name from pg_trigger where not tgisinternal`,
  )
  for (const { name } of rows) await client.query(`alter table ${name} disable trigger all`)
}

/** The log of a partition. */
const log = (partition: number): string => `(select id from partition_logs where partition = ${partition})`
/** An event in the middle of the log of partition 0. */
const at = `log_id = ${log(0)} and "offset" = 100`
const copyOf = (changes: string): string => `insert into dead_letters
  select log_id, "offset", "offset", leaf_index, 'SCHEMA', '', key, value, headers, kafka_timestamp, leaf_hash, ingested_at
    from events where ${changes}`

const damages: readonly [what: string, statements: string, damage: Partial<Damage>][] = [
  ['nothing', 'select 1', {}],
  ['an event that is gone', `delete from events where ${at}`, { lost: 1 }],
  [
    'two events that are gone',
    `delete from events where log_id = ${log(0)} and "offset" in (100, 102)`,
    { lost: 2 },
  ],
  [
    'a dead letter that is gone',
    `delete from dead_letters where (log_id, "offset") =
     (select log_id, "offset" from dead_letters limit 1)`,
    { lost: 1 },
  ],
  [
    'a log that moved on without its last rows',
    `delete from events where log_id = ${log(1)} and "offset" > 390`,
    { lost: 9 },
  ],
  ['an event that is a dead letter too', copyOf(at), { doubled: 1, reordered: 1 }],
  [
    'an event in two days',
    `select create_events_partition(current_date - 1);
     insert into events select "offset", leaf_index, event_time, kafka_timestamp, ingested_at - interval '1 day', log_id, id, type,
       source, tenant_id, classification, policy_tags, key, value, headers, content_hash, leaf_hash from events where ${at}`,
    { doubled: 1, reordered: 1 },
  ],
  [
    'a row of no source record',
    `update events set "offset" = 5000 where ${at}`,
    { lost: 1, doubled: 1, reordered: 1, altered: 1 },
  ],
  [
    'leaf indexes that are swapped',
    `update events set leaf_index = 201 - leaf_index where log_id = ${log(0)}
     and "offset" in (100, 101)`,
    { reordered: 1 },
  ],
  [
    'a byte of a value',
    `update events set value = set_byte(value, 30, get_byte(value, 30) # 1) where ${at}`,
    { altered: 1 },
  ],
  ['a byte of a key', `update events set key = key || '\\x00' where ${at}`, { altered: 1 }],
  ['an empty key instead of one', `update events set key = '' where ${at}`, { altered: 1 }],
  ['a header', `update events set headers = '\\x00' where ${at}`, { altered: 1 }],
  ['a timestamp', `update events set kafka_timestamp = kafka_timestamp + 1 where ${at}`, { altered: 1 }],
  ['an event that was refused', `${copyOf(at)}; delete from events where ${at}`, { altered: 1 }],
  [
    'a dead letter with another code',
    `update dead_letters set code = 'UNSTORABLE' where (log_id, "offset") =
     (select log_id, "offset" from dead_letters limit 1)`,
    { altered: 1 },
  ],
  ['a content hash', `update events set content_hash = sha256('x') where ${at}`, { altered: 1 }],
  ['a leaf hash', `update events set leaf_hash = sha256('x') where ${at}`, { altered: 1 }],
  ['an id', `update events set id = gen_random_uuid() where ${at}`, { altered: 1 }],
  ['a type', `update events set type = 'other' where ${at}`, { altered: 1 }],
  ['a tenant', `update events set tenant_id = null where ${at}`, { altered: 1 }],
  ['an event time', `update events set event_time = event_time + 1 where ${at}`, { altered: 1 }],
  ['a classification', `update events set classification = 'OTHER' where ${at}`, { altered: 1 }],
  ['policy tags', `update events set policy_tags = '{x}' where ${at}`, { altered: 1 }],
  [
    'a frontier',
    `update partition_logs set frontier = sha256('x') || substr(frontier, 33) where partition = 0`,
    { altered: 1 },
  ],
  ['a node', `update log_nodes set hash = sha256('x') where log_id = ${log(0)}`, { altered: 1 }],
  [
    "a node's end",
    `update log_nodes set end_offset = end_offset + 1 where log_id = ${log(0)}`,
    { altered: 1 },
  ],
  ['a node that is gone', `delete from log_nodes where log_id = ${log(0)}`, { altered: 1 }],
  [
    'a node too many',
    `insert into log_nodes select log_id, 16, index, hash, end_offset, bytes, ingested_at from log_nodes
     where log_id = ${log(0)}`,
    { altered: 1 },
  ],
]

describe('judging a log', () => {
  it('finds nothing wrong with what ingest made, and counts it', async () => {
    const found = await judgeLog(original.adminUrl, score, {}, signal)
    const refused = [...found.deadLetters.values()].reduce((sum, count) => sum + count, 0)
    expect({ ...found.damage, problems: found.problems }).toEqual({ ...noDamage, problems: [] })
    expect([found.rows, found.rows - refused]).toEqual([score.produced, score.accepted])
  })

  it.each(damages)('sees %s', async (_what, statements, damage) => {
    const found = await judged(statements)
    expect(found.damage).toEqual({ ...noDamage, ...damage })
    expect(found.problems.length > 0).toBe(Object.keys(damage).length > 0)
  })

  it('sees a log that is missing as a whole', async () => {
    const found = await judged(`update partition_logs set topic = 'other' where partition = 1`)
    expect(found.damage).toEqual({ ...noDamage, lost: score.tables[1]?.size })
  })

  it('sees the log of a partition that does not exist', async () => {
    const found = await judged(
      `insert into partition_logs (topic, partition, topic_id, incarnation, leader_epoch, start_offset,
        next_offset, size, bytes, frontier, created_at)
      select topic, 7, topic_id, 1, 0, 0, 400, 3, 0, frontier || frontier, created_at from partition_logs where partition = 1`.replace(
        'frontier || frontier',
        `substr(frontier || frontier, 1, 64)`,
      ),
    )
    expect(found.damage).toEqual({ ...noDamage, doubled: 3 })
  })

  it.each([
    ['next_offset', 'next_offset = next_offset + 1'],
    ['bytes', 'bytes = bytes + 1'],
    ['start_offset', `start_offset = -1`],
  ])('sees a wrong %s', async (column, change) => {
    const found = await judged(`alter table partition_logs drop constraint partition_logs_start;
      update partition_logs set ${change} where partition = 0`)
    expect(found.damage).toEqual(noDamage)
    expect(found.problems).toEqual([expect.stringContaining(`partition 0: ${column} is`)])
  })

  it('sees a wrong size', async () => {
    const found = await judged(`alter table partition_logs drop constraint partition_logs_size,
        drop constraint partition_logs_frontier; update partition_logs set size = size + 1 where partition = 0`)
    expect(found.problems).toEqual([expect.stringContaining('partition 0: size is')])
  })

  it('sees an ingestion time that goes back', async () => {
    const found = await judged(
      `update events set ingested_at = ingested_at - interval '1 second' where ${at}`,
    )
    expect(found.problems).toEqual([expect.stringContaining('the ingestion time goes back')])
  })

  it('takes a gap for one where one must be, and not elsewhere', async () => {
    const gap = async (client: Client): Promise<void> => {
      const leaf = hashToBytes(gapLeaf(offset(100n), offset(101n)))
      await client.query(`delete from events where ${at}`)
      await client.query(
        `insert into gaps select id, 100, 101, 100, $1, last_ingested_at from partition_logs where partition = 0`,
        [leaf],
      )
    }
    const unexpected = await judged(gap)
    expect(unexpected.damage.lost).toBe(1)
    expect(unexpected.problems).toContainEqual(expect.stringContaining('a gap from 100 to 101 that is none'))
    const expected = await judged(gap, { gaps: [[{ from: 100, to: 101 }], []] })
    // The tree was made of the event that was there before.
    expect({ ...expected.damage, altered: 0 }).toEqual(noDamage)
    const missing = await judged('select 1', { gaps: [[{ from: 100, to: 101 }], []] })
    expect(missing.problems).toEqual([expect.stringContaining('0 gaps instead of 1')])
  })

  it('reads logs of many pages, with equal offsets across their bounds', async () => {
    // Two thousand rows are one page; every offset of partition 0 is there twice afterwards.
    const found = await judged(copyOf(`log_id = ${log(0)}`))
    const events = found.events.get(0)?.count ?? 0
    expect(events).toBeGreaterThan(300)
    expect(found.damage).toMatchObject({ lost: 0, doubled: events })
  })
})
