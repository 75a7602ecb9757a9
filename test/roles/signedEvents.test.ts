/** A source that must sign, on a platform that runs: keys and policy by command, verdicts in the log. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Pool } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { preAuthEncoding } from '../../src/domain/dsse.ts'
import { canonicalEvent, policyOf, type SourceEvent } from '../../src/domain/eventSchema.ts'
import { EVENT_PAYLOAD_TYPE } from '../../src/domain/producerSignature.ts'
import type { CliRun } from '../cli/run.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

const entry = fileURLToPath(new URL('../../src/cli/evidence-main.ts', import.meta.url))
const [first, second] = [testKey('shop.example', 1), testKey('shop.example', 2)] as const
const SOURCE = 'intelligence-platform'
let kafka: TestKafka
let database: TestDatabase
let sql: Pool
let platform: PlatformProcess
let api = ''
let topic = ''

const evidence = (...args: readonly string[]): Promise<CliRun> =>
  new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { env: { API_URL: api } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })

const start = async (): Promise<void> => {
  platform = new PlatformProcess('all', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: topic,
    PORT: '0',
  })
  const [, url = ''] = await platform.says(/"url":"([^"]+)","msg":"listening"/)
  api = url
}

beforeAll(async () => {
  kafka = await TestKafka.connect()
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
  topic = await kafka.topic(1)
  await start()
}, 120_000)
afterAll(async () => {
  await platform.stop()
  await sql.end()
  await database.drop()
  await kafka.close()
})

function signedBy(key: typeof first, event = validEvent()): Record<string, unknown> {
  const source = event as SourceEvent
  const message = preAuthEncoding(EVENT_PAYLOAD_TYPE, Buffer.from(canonicalEvent(source, policyOf(source))))
  const signatures = [{ sig: key.sign(message).toString('base64') }]
  return {
    ...event,
    provenance: { signature: JSON.stringify({ payloadType: EVENT_PAYLOAD_TYPE, signatures }) },
  }
}

let produced = 0
/** The verdicts on events, in their order. */
async function verdictsOn(...events: readonly Record<string, unknown>[]): Promise<string[]> {
  const from = produced
  produced += events.length
  await kafka.producer.send({ topic, messages: events.map((event) => ({ value: JSON.stringify(event) })) })
  return await until(
    async () => {
      const { rows } = await sql.query(
        `select verdict from (select "offset", 'event' as verdict from events
                              union all select "offset", code from dead_letters) v
          where "offset" >= $1 order by "offset"`,
        [from],
      )
      return rows.length === events.length && rows.map(({ verdict }) => String(verdict))
    },
    30_000,
    () => `no verdicts:\n${platform.output}`,
  )
}

/** What an operator decides counts within seconds. */
const becomes = (make: () => Record<string, unknown>, verdict: string): Promise<unknown> =>
  until(
    async () => (await verdictsOn(make()))[0] === verdict,
    30_000,
    () => `it never became ${verdict}:\n${platform.output}`,
  )

it('asks a source for its signature from when an operator says so, and for nothing of the others', {
  timeout: 180_000,
}, async () => {
  const foreign = () => validEvent({ source: 'copilot-service' })
  expect(await verdictsOn(validEvent(), signedBy(second), foreign())).toEqual(['event', 'event', 'event'])
  const early = await evidence('set-signature-policy', '--source', SOURCE, '--policy', 'require')
  expect(early).toMatchObject({ code: 2, stderr: expect.stringMatching(/^PRODUCER_KEY_MISSING: /) })
  const bad = await evidence('add-producer-key', '--source', SOURCE, '--key', 'shop.example+1+x')
  expect(bad).toMatchObject({ code: 2, stderr: expect.stringMatching(/^--key: a verifier key looks like/) })

  const added = await evidence('add-producer-key', '--source', SOURCE, '--key', first.verifierKey.text)
  expect([added.code, added.stdout]).toEqual([
    0,
    expect.stringContaining(`${SOURCE}: ignore\n  shop.example+`),
  ])
  await evidence('set-signature-policy', '--source', SOURCE, '--policy', 'require', '--reason', 'agreed')
  await becomes(() => validEvent(), 'SIGNATURE')
  const altered = { ...signedBy(first), type: 'entity.updated' }
  expect(await verdictsOn(signedBy(first), signedBy(second), altered, validEvent(), foreign())).toEqual([
    'event',
    'SIGNATURE',
    'SIGNATURE',
    'SIGNATURE',
    'event',
  ])

  // A process that starts anew takes nothing before it knows who must sign.
  await platform.stop()
  await start()
  expect(await verdictsOn(validEvent(), signedBy(first))).toEqual(['SIGNATURE', 'event'])

  await evidence('add-producer-key', '--source', SOURCE, '--key', second.verifierKey.text)
  await becomes(() => signedBy(second), 'event')
  await evidence('set-signature-policy', '--source', SOURCE, '--policy', 'verify')
  await becomes(() => validEvent(), 'event')
  expect(await verdictsOn(altered)).toEqual(['SIGNATURE'])
  const listed = await evidence('producer-keys', '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject({ items: [{ source: SOURCE, policy: 'verify' }] })

  const { rows } = await sql.query(
    'select l.size = count(*) as whole from partition_logs l, (select leaf_index from events union all select leaf_index from dead_letters) v group by l.size',
  )
  expect(rows).toEqual([{ whole: true }])
  const actions = await sql.query(
    "select count(*)::int as n from operator_actions where action like 'producer.%'",
  )
  expect(actions.rows[0].n).toBe(6)
})
