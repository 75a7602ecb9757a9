/** Checkpoints on a Schedule, on real servers: by time, by number, changed, ended, one at a time, over a worker's death. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { WorkflowNotFoundError } from '@temporalio/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CheckpointScheduleView } from '../../src/domain/checkpointSchedule.ts'
import { ServiceError } from '../../src/errors.ts'
import {
  type CheckpointSchedules,
  checkpointScheduleId,
  createCheckpointSchedules,
} from '../../src/replay/checkpointSchedules.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { startEdge } from '../api/edge.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { appendTo, type OpenLog, openLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { trueEvents } from '../verification/trueLog.ts'

const fixture = useStore('checkpoint_schedule')
const taskQueue = `test-${randomUUID()}`
const workers: PlatformProcess[] = []
const scheduled = new Set<string>()
let temporal: TemporalClient
let schedules: CheckpointSchedules

const clientOf = (address: string) =>
  createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })

beforeAll(() => {
  temporal = clientOf(testServers().temporalAddress)
  const { reader: log, checkpoints } = fixture.store
  schedules = createCheckpointSchedules({ temporal, taskQueue, log, checkpoints })
})
afterAll(async () => {
  // The servers outlive the test: no schedule may go on in them.
  for (const topic of scheduled) await schedules.remove(topic).catch(() => undefined)
  await Promise.all(workers.map((worker) => worker.kill()))
  await temporal.close()
})

function startWorker(): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: fixture.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
  })
  workers.push(worker)
  return worker
}

async function log(): Promise<{ readonly open: OpenLog; readonly topic: string }> {
  const open = await openLog(fixture.store)
  const { topic } = open.log.identity
  scheduled.add(topic)
  return { open, topic }
}

async function append(open: OpenLog, count: bigint): Promise<void> {
  const from = open.position.nextOffset
  const outcome = await appendTo(fixture.store, open, trueEvents(from, from + count), from + count)
  expect(outcome.kind).toBe('appended')
}

interface Made {
  readonly id: string
  readonly created_at: Date
  readonly created_by: string
  readonly size: string
}

const made = (topic: string): Promise<readonly Made[]> =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query<Made>(
      `select c.id, c.created_at, c.created_by, (select sum(size) from checkpoint_positions where checkpoint_id = c.id) as size
         from checkpoints c where topic = $1 order by sequence`,
      [topic],
    )
    return rows
  })

const untilMade = (topic: string, count: number, timeoutMs = 60_000) =>
  until(
    async () => {
      const found = await made(topic)
      return found.length >= count && found
    },
    timeoutMs,
    () => `${count} checkpoints of ${topic}: ${workers.at(-1)?.output}`,
  )

const describe = (topic: string) =>
  temporal.client.schedule.getHandle(checkpointScheduleId(taskQueue, topic)).describe()

/** Looks that began from now on and came to an end. */
async function looksPass(topic: string, count: number): Promise<CheckpointScheduleView> {
  const from = new Date().toISOString()
  return await until(
    async () => {
      const view = await schedules.get(topic)
      const over = view.lastRuns?.filter(({ at, outcome }) => at > from && outcome !== 'running') ?? []
      return over.length >= count && view
    },
    60_000,
    () => `looks at ${topic}: ${workers.at(-1)?.output}`,
  )
}

/** The looks that were begun up to now are over; what is begun is called after the second that it was due in. */
async function looksOver(topic: string): Promise<void> {
  const now = Math.floor(Date.now() / 1_000)
  for (let second = now - 30; second <= now + 1; second++) {
    const due = new Date(second * 1_000).toISOString().replace('.000Z', 'Z')
    const id = `checkpoint-schedule/${taskQueue}/${topic}-${due}`
    await temporal.client.workflow.getHandle(id).result().catch(unknown)
  }
}

function unknown(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

it('by number and by time, changed and ended; over the death of a worker', { timeout: 240_000 }, async () => {
  const worker = startWorker()
  const byTime = await log()
  const timed = await schedules.put({ topic: byTime.topic, everySeconds: 5 }, 'ada')
  expect(timed).toMatchObject({ everySeconds: 5, lookEverySeconds: 5, paused: false, uncovered: '0' })
  expect(timed.nextRunAt).toBeDefined()

  const { open, topic } = await log()
  const settings = { topic, everyEvents: 100, lookEverySeconds: 1 }
  await schedules.put(settings, 'ada')
  expect((await describe(topic)).policies).toMatchObject({
    overlap: 'SKIP',
    catchupWindow: 60_000,
    pauseOnFailure: false,
  })
  expect(await looksPass(topic, 2)).toMatchObject({ uncovered: '0' })
  await append(open, 99n)
  const waiting = await looksPass(topic, 2)
  expect(waiting.lastRuns?.map(({ outcome }) => outcome)).not.toContain('checkpoint')
  expect(waiting).toMatchObject({ uncovered: '99' })
  expect(await made(topic)).toEqual([])
  await append(open, 1n)
  const [first] = await untilMade(topic, 1)
  expect(first).toMatchObject({ size: '100', created_by: 'schedule of ada' })
  await looksPass(topic, 2)
  expect(await made(topic)).toHaveLength(1)

  // The same again is the same schedule; another number counts from the next look on.
  const { createdAt } = (await describe(topic)).info
  const same = await schedules.put(settings, 'ada')
  expect(same).toMatchObject({ ...settings, newestCheckpoint: { id: first?.id }, uncovered: '0' })
  expect((await describe(topic)).info.createdAt).toEqual(createdAt)
  await append(open, 30n)
  await looksPass(topic, 2)
  expect(await made(topic)).toHaveLength(1)
  await schedules.put({ topic, everyEvents: 30, lookEverySeconds: 1 }, 'bob')
  expect(await untilMade(topic, 2)).toMatchObject([{}, { size: '130', created_by: 'schedule of bob' }])
  const shown = await until(
    async () => {
      const { lastRuns, newestCheckpoint } = await schedules.get(topic)
      const run = lastRuns?.find(({ checkpointId }) => checkpointId === newestCheckpoint?.id)
      return run !== undefined && run
    },
    60_000,
    () => `the look that made a checkpoint of ${topic}`,
  )
  expect(shown).toMatchObject({ outcome: 'checkpoint', reason: 'events' })

  // A worker that dies takes no schedule with it.
  await worker.kill()
  await append(open, 60n)
  startWorker()
  expect(await untilMade(topic, 3)).toMatchObject([{}, {}, { size: '190' }])

  // Nothing was logged there, and the interval counts all the same.
  const times = (await untilMade(byTime.topic, 2)).map((each) => each.created_at.getTime())
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(2_500)

  // Temporal lists a new one some moments late.
  await until(
    async () => (await schedules.list({ limit: 10 })).items.length === 2,
    60_000,
    () => 'not both are in the list',
  )
  const listed = await schedules.list({ limit: 1 })
  const rest = await schedules.list({ limit: 10, cursor: String(listed.nextCursor) })
  const known = [...listed.items, ...rest.items].map((item) => item.topic)
  expect(known).toEqual([topic, byTime.topic].sort())
  expect(rest.nextCursor).toBeNull()

  await schedules.remove(topic)
  await schedules.remove(byTime.topic)
  expect(await codeOf(schedules.remove(topic))).toBe('SCHEDULE_NOT_FOUND')
  expect(await codeOf(schedules.get(topic))).toBe('SCHEDULE_NOT_FOUND')
  // One that was under way may still make a checkpoint.
  await looksOver(topic)
  await append(open, 500n)
  await sleep(2_500)
  expect(await made(topic)).toHaveLength(3)
})

it('a look that cannot end leaves out those after it, and makes one checkpoint in the end', {
  timeout: 240_000,
}, async () => {
  const { open, topic } = await log()
  await append(open, 10n)
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('begin; lock table checkpoints in access exclusive mode')
    const put = schedules.put({ topic, everyEvents: 10, lookEverySeconds: 1 }, 'ada').catch(() => undefined)
    await until(
      async () => {
        const { info } = await describe(topic).catch(() => ({ info: null }))
        return info !== null && info.numActionsSkippedOverlap >= 2 && info.runningActions.length === 1
      },
      60_000,
      () => 'nothing was left out',
    )
    await client.query('rollback')
    await put
  })
  await untilMade(topic, 1)
  await looksPass(topic, 2)
  expect(await made(topic)).toHaveLength(1)
  await schedules.remove(topic)
})

it('a look that fails says why, and the next one looks again', { timeout: 180_000 }, async () => {
  const { topic } = await log()
  await schedules.put({ topic, everySeconds: 3_600 }, 'ada')
  await untilMade(topic, 1)
  const handle = temporal.client.schedule.getHandle(checkpointScheduleId(taskQueue, topic))
  // As if the database had been put back to a time before the topic.
  await handle.update((previous) => ({
    ...previous,
    action: { ...previous.action, args: [{ topic: 'nowhere', everySeconds: 3_600 }] },
  }))
  // Beside the first one, if that goes on still; and not in its second, which gives it its workflow id.
  await sleep(1_050 - (Date.now() % 1_000))
  await handle.trigger('ALLOW_ALL')
  const failed = await until(
    async () => (await schedules.get(topic)).lastRuns?.find(({ outcome }) => outcome === 'failed'),
    60_000,
    () => workers.at(-1)?.output ?? '',
  )
  expect(failed).toMatchObject({ error: { code: 'UNKNOWN_TOPIC' } })
  expect(await schedules.get(topic)).toMatchObject({ paused: false, topic: 'nowhere' })
  await schedules.remove(topic)
})

it('the API and the command, what they refuse, and their record', { timeout: 180_000 }, async () => {
  const { open, topic } = await log()
  await append(open, 7n)
  const { queries, checkpoints } = fixture.store
  const edge = await startEdge({
    operations: { checkpointSchedules: schedules },
    queries: { ...queries, ...checkpoints },
  })
  const path = `${edge.url}/checkpoint-schedules/${topic}`
  const call = async (method: string, url: string, body?: unknown) => {
    const response = await fetch(url, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json', 'X-Requested-By': 'ada' },
      }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? null : JSON.parse(text) }
  }
  const evidence = (...args: readonly string[]) => runEvidence(args, { API_URL: edge.url })
  try {
    for (const [body, field] of [
      [{}, 'everySeconds'],
      [{ everySeconds: 0 }, 'everySeconds'],
      [{ everySeconds: -5 }, 'everySeconds'],
      [{ everySeconds: 1e15 }, 'everySeconds'],
      [{ everyEvents: 0 }, 'everyEvents'],
      [{ everyEvents: 1e13 }, 'everyEvents'],
      [{ everyEvents: 5, lookEverySeconds: 1e6 }, 'lookEverySeconds'],
      [{ everySeconds: 60, whatever: 1 }, 'whatever'],
    ] as const) {
      const refused = await call('PUT', path, body)
      expect([refused.status, refused.body.errors?.[0]?.path, body]).toEqual([400, field, body])
    }
    const unknown = await call('PUT', `${edge.url}/checkpoint-schedules/nowhere`, { everySeconds: 60 })
    expect(unknown).toMatchObject({
      status: 404,
      body: { code: 'UNKNOWN_TOPIC', errors: [{ path: 'topic' }] },
    })
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const bad = await call(
        method,
        `${edge.url}/checkpoint-schedules/a%2Fb`,
        method === 'GET' ? undefined : { everySeconds: 60 },
      )
      expect([bad.status, bad.body.errors?.[0]?.path]).toEqual([400, 'topic'])
    }
    expect(await call('GET', path)).toMatchObject({ status: 404, body: { code: 'SCHEDULE_NOT_FOUND' } })
    expect((await call('GET', `${edge.url}/checkpoint-schedules?cursor=x`)).body.errors[0].path).toBe(
      'cursor',
    )

    const put = await call('PUT', path, { everySeconds: 3_600, everyEvents: 1_000 })
    expect(put).toMatchObject({
      status: 200,
      body: { topic, everySeconds: 3_600, everyEvents: 1_000, lookEverySeconds: 15 },
    })
    await untilMade(topic, 1)
    const text = await evidence('checkpoint-schedule', '--topic', topic)
    expect(text.code).toBe(0)
    expect(text.stdout).toMatch(/every 3,600 seconds and every 1,000 events, looked for every 15 seconds/)
    expect(text.stdout).toMatch(/newest checkpoint [0-9a-f-]{36} at /)
    const json = await evidence('checkpoint-schedule', '--topic', topic, '--every-seconds', '7200', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ topic, everySeconds: 7_200 })
    expect(JSON.parse(json.stdout)).not.toHaveProperty('everyEvents')
    await until(
      async () => (await evidence('checkpoint-schedule')).stdout.includes(`${topic}: every 7,200 seconds`),
      60_000,
      () => 'it is not in the list',
    )
    expect((await evidence('checkpoint-schedule', '--topic', topic, '--every-events', '0')).stderr).toContain(
      '--every-events',
    )
    expect((await evidence('checkpoint-schedule', '--every-events', '5')).stderr).toContain('--topic')
    // Changed with other tools into what it cannot be: that shows, breaks no list, and goes away like any other.
    const handle = temporal.client.schedule.getHandle(checkpointScheduleId(taskQueue, topic))
    await handle.update(({ action, ...rest }) => ({
      ...rest,
      action: { ...action, args: ['nothing of ours'] },
    }))
    const broken = await call('GET', path)
    expect(broken).toMatchObject({ status: 200, body: { topic, broken: expect.stringContaining('put it') } })
    const listed = await call('GET', `${edge.url}/checkpoint-schedules?limit=1000`)
    expect(listed.body.items).toContainEqual(expect.objectContaining({ topic, broken: broken.body.broken }))
    expect((await evidence('checkpoint-schedule')).stdout).toContain(`${topic}: BROKEN: `)
    expect((await evidence('checkpoint-schedule', '--topic', topic, '--off')).code).toBe(0)
    const gone = await evidence('checkpoint-schedule', '--topic', topic, '--off')
    expect([gone.code, gone.stderr]).toEqual([2, expect.stringContaining('SCHEDULE_NOT_FOUND')])
    const { rows } = await withClient(fixture.database.adminUrl, (client) =>
      client.query(
        `select action, outcome from operator_actions where target = $1 and outcome = 'accepted' order by id`,
        [topic],
      ),
    )
    expect(rows.map(({ action }) => action)).toEqual([
      'checkpoint.schedule',
      'checkpoint.schedule',
      'checkpoint.unschedule',
    ])
  } finally {
    await edge.close()
  }
})

it('without Temporal each says so', { timeout: 60_000 }, async () => {
  const { topic } = await log()
  const away = clientOf('127.0.0.1:1')
  const { reader, checkpoints } = fixture.store
  const cut = createCheckpointSchedules({ temporal: away, taskQueue, log: reader, checkpoints })
  const { queries } = fixture.store
  const edge = await startEdge({ operations: { checkpointSchedules: cut }, queries })
  const headers = { 'Content-Type': 'application/json' }
  const body = JSON.stringify({ everySeconds: 60 })
  const calls: readonly (readonly [string, RequestInit])[] = [
    ['', {}],
    [`/${topic}`, {}],
    [`/${topic}`, { method: 'PUT', body, headers }],
    [`/${topic}`, { method: 'DELETE' }],
  ]
  try {
    const answers = calls.map(async ([path, init]) => {
      const response = await fetch(`${edge.url}/checkpoint-schedules${path}`, init)
      return [response.status, ((await response.json()) as { code: string }).code]
    })
    expect(await Promise.all(answers)).toEqual(calls.map(() => [503, 'TEMPORAL_UNAVAILABLE']))
  } finally {
    await edge.close()
    await away.close()
  }
})
