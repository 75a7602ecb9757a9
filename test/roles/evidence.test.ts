/** The whole way: a platform with a key, the evidence that it hands out, and verifiers that know nothing but the key. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Pool } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CustodyView } from '../../src/domain/custody.ts'
import type { CliRun } from '../cli/run.ts'
import { buildGoVerifier, goMissing, judgeWithGo } from '../evidence/goVerifier.ts'
import { createTestDatabase, createTestPool, type TestDatabase } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka, validEvent } from '../support/source.ts'

const entry = fileURLToPath(new URL('../../src/cli/evidence-main.ts', import.meta.url))
const EVENTS = 300
let folder: string
let kafka: TestKafka
let database: TestDatabase
let sql: Pool
let platform: PlatformProcess | null = null
let api = ''
let topic = ''

const file = (name: string): string => join(folder, name)
const ids: string[] = []

/** Where `API_URL` is left out, the service is out of reach: what verifies must not miss it. */
function evidence(args: readonly string[], env: Record<string, string> = {}): Promise<CliRun> {
  return new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { env, cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const fetched = async (...args: readonly string[]): Promise<string> => {
  const run = await evidence(args, { API_URL: api })
  if (run.code !== 0) throw new Error(run.stderr)
  return run.stdout
}

const produce = (count: number): Promise<unknown> => {
  const events = Array.from({ length: count }, () => validEvent())
  ids.push(...events.map((event) => String(event['id'])))
  return kafka.producer.send({ topic, messages: events.map((event) => ({ value: JSON.stringify(event) })) })
}

const leaves = async (): Promise<number> =>
  (await sql.query('select coalesce(sum(size), 0)::int as n from partition_logs')).rows[0].n

const ingested = (count: number): Promise<unknown> =>
  until(
    async () => (await leaves()) === count,
    60_000,
    () => `${count} leaves did not come:\n${platform?.output}`,
  )

const checkpoint = async (): Promise<string> => {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${api}/checkpoint`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ topic }),
  })
  const { id } = (await answer.json()) as { id: string }
  expect(answer.status).toBe(201)
  return id
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'platform-evidence-'))
  kafka = await TestKafka.connect()
  database = await createTestDatabase()
  sql = createTestPool(database.adminUrl)
  topic = await kafka.topic(1)
  const made = await evidence(['make-key', '--name', 'example.com/ingest', '--out', file('checkpoint.key')])
  expect(made.code).toBe(0)
  platform = new PlatformProcess('all', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: topic,
    KAFKA_GROUP_ID: topic,
    DATABASE_URL: database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: topic,
    PORT: '0',
    INSTANCE_NAME: 'example.com/ingest',
    CHECKPOINT_SIGNING_KEY_FILE: file('checkpoint.key'),
  })
  const [, url = ''] = await platform.says(/"url":"([^"]+)","msg":"listening"/)
  api = url
  await platform.says('checkpoints are signed')
  await platform.says('taking work from Temporal')
}, 120_000)
afterAll(async () => {
  await platform?.stop()
  await sql?.end()
  await database?.drop()
  await kafka?.close()
  rmSync(folder, { recursive: true, force: true })
})

it('tells the way of an event: taken, covered by a checkpoint that nobody asked for, replayed, and what it caused', {
  timeout: 240_000,
}, async () => {
  const before = await leaves()
  const origin = validEvent()
  const effect = validEvent({ metadata: { version: '1', causationId: origin['id'] } })
  const messages = [origin, effect].map((event) => ({ value: JSON.stringify(event) }))
  await kafka.producer.send({ topic, messages })
  await ingested(before + 2)
  await fetched('checkpoint-schedule', '--topic', topic, '--every-events', '1')
  const custodyOf = async (id: unknown): Promise<CustodyView> =>
    JSON.parse(await fetched('custody', '--event-id', String(id), '--json')).custody
  const covered = await until(
    async () => (await custodyOf(effect['id'])).checkpoints.first,
    60_000,
    () => platform?.output ?? '',
  )
  expect(covered).toMatchObject({ createdBy: expect.stringMatching(/^schedule of /) })
  expect(covered.signedBy).toHaveLength(1)
  await fetched('checkpoint-schedule', '--topic', topic, '--off')

  const answer = await fetch(`${api}/replay`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      topic,
      targetTopic: await kafka.topic(1),
      partition: 0,
      fromOffset: String(before),
    }),
  })
  expect(answer.status).toBe(202)
  const { replayId } = (await answer.json()) as { readonly replayId: string }
  const replayed = await until(
    async () => {
      const { replays } = await custodyOf(origin['id'])
      return replays.items.find(({ status }) => status === 'completed')
    },
    60_000,
    () => platform?.output ?? '',
  )
  expect(replayed.replayId).toBe(replayId)
  expect((await custodyOf(origin['id'])).effects.items).toMatchObject([{ id: effect['id'], topic }])
  expect((await custodyOf(effect['id'])).causes.items).toMatchObject([{ causationId: origin['id'] }])
})

it('hands out evidence that verifies with nothing but the files and the key', {
  timeout: 300_000,
}, async () => {
  const start = await leaves()
  await produce(EVENTS)
  await ingested(start + EVENTS)
  const before = await checkpoint()
  await produce(EVENTS)
  await ingested(start + 2 * EVENTS)
  const [early = '', late = ''] = [ids[3], ids[EVENTS + 3]]
  const uncovered = await evidence(['inclusion', '--event-id', late], { API_URL: api })
  expect(uncovered).toMatchObject({ code: 2, stderr: expect.stringMatching(/^NOT_COVERED: /) })
  const after = await checkpoint()

  await fetched('keys', '--out', file('keys'))
  await fetched('note', '--checkpoint-id', after, '--out', file('note'))
  await fetched('inclusion', '--event-id', late, '--out', file('late.tlog-proof'))
  await fetched('inclusion', '--event-id', early, '--checkpoint', before, '--out', file('early.tlog-proof'))
  await fetched('record', '--event-id', early, '--out', file('early.json'))
  await fetched('consistency', '--from', before, '--to', after, '--out', file('consistency-proof'))
  expect(await fetched('note', '--checkpoint-id', after)).toBe(readFileSync(file('note'), 'utf8'))
  expect(JSON.parse(await fetched('keys', '--json'))).toEqual({ text: readFileSync(file('keys'), 'utf8') })
  // From here on nobody can ask it anything.
  await platform?.stop()
  const gone = await evidence(['keys'], { API_URL: api })
  expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('does not answer') })

  const cases: [string, string | null, string][] = [
    ['note', null, `has ${start + 2 * EVENTS} leaves`],
    ['late.tlog-proof', null, `in the checkpoint of ${start + 2 * EVENTS} leaves`],
    ['early.tlog-proof', null, `in the checkpoint of ${start + EVENTS} leaves`],
    ['early.tlog-proof', 'early.json', `in the checkpoint of ${start + EVENTS} leaves`],
    ['early.json', null, 'has the leaf'],
    ['consistency-proof', null, `the ${start + 2 * EVENTS} leaves`],
  ]
  for (const [name, event, says] of cases) {
    const more = event === null ? [] : ['--event', file(event)]
    const run = await evidence(['verify', file(name), '--key', file('keys'), ...more])
    expect([name, run.code, run.stderr]).toEqual([name, 0, ''])
    expect(run.stdout).toContain(says)
  }
  const wrong = await evidence([
    'verify',
    file('late.tlog-proof'),
    '--key',
    file('keys'),
    '--event',
    file('early.json'),
  ])
  expect(wrong.code).toBe(1)

  const missing = goMissing()
  if (missing !== null) return void console.warn(`skipped: a verifier that others wrote (${missing})`)
  const keys = readFileSync(file('keys'), 'utf8').trimEnd().split('\n')
  const verdicts = await judgeWithGo(
    await buildGoVerifier(folder),
    cases.map(([name, event]) => ({
      file: readFileSync(file(name)),
      ...(event !== null && { event: readFileSync(file(event)) }),
      keys,
    })),
  )
  expect(verdicts.map(({ ok, detail }) => [ok, detail])).toEqual(cases.map(() => [true, undefined]))
})
