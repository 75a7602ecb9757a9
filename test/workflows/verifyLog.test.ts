/** Verification of logs as a workflow: a worker that is killed, damage, cancellation, a Schedule, on real servers. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type VerificationView, verificationEnded } from '../../src/domain/verification/view.ts'
import { ServiceError } from '../../src/errors.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import {
  createVerificationOperations,
  type VerificationOperations,
} from '../../src/replay/verificationOperations.ts'
import { verificationScheduleId } from '../../src/replay/verificationSchedule.ts'
import { startEdge } from '../api/edge.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { appendTo, type OpenLog, openLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { trueEvents, withoutGuards } from '../verification/trueLog.ts'

const fixture = useStore('verifylog')
const taskQueue = `test-${randomUUID()}`
const workers: PlatformProcess[] = []
let temporal: TemporalClient
let operations: VerificationOperations

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  const { verifications, replays, queries } = fixture.store
  operations = createVerificationOperations({ temporal, taskQueue, verifications, replays, logs: queries })
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  await temporal.close()
})

function startWorker(sliceMs = 60_000): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: fixture.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
    REPLAY_SLICE_MS: String(sliceMs),
  })
  workers.push(worker)
  return worker
}

const ended = (id: string): Promise<VerificationView> =>
  until(
    async () => {
      const view = await operations.getVerification(id)
      return verificationEnded(view.status) && view
    },
    120_000,
    () => workers.at(-1)?.output ?? '',
  )

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

async function fill(open: OpenLog, count: bigint): Promise<OpenLog> {
  const from = open.position.nextOffset
  for (let at: bigint = from; at < from + count; at += 5_000n) {
    const to = at + 5_000n < from + count ? at + 5_000n : from + count
    expect((await appendTo(fixture.store, open, trueEvents(at, to), to)).kind).toBe('appended')
  }
  return open
}

/** What was found, without where and when. */
const reportOf = ({ parts, status, damaged }: VerificationView) => ({ parts, status, damaged })

it('a verification whose worker is killed ends like an undisturbed one', { timeout: 240_000 }, async () => {
  const open = await fill(await openLog(fixture.store), 60_000n)
  const { topic } = open.log.identity
  const { logId } = open.log
  await withClient(fixture.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query(`update events set type = 'x' where log_id = $1 and "offset" in (1000, 59000)`, [
        logId,
      ])
    }),
  )
  const first = startWorker()
  const undisturbed = await operations.startVerification({ topic }, 'ada')
  expect(undisturbed).toMatchObject({ status: 'running', createdBy: 'ada', request: { topic } })
  const whole = await ended(undisturbed.id)
  expect(whole).toMatchObject({
    status: 'damaged',
    damaged: 1,
    createdBy: 'ada',
    progress: { parts: 1, partsDone: 1, checked: '60000', total: '60000' },
    parts: [
      {
        topic,
        verdict: 'damaged',
        counts: { events: '60000' },
        found: { 'altered-column': '2' },
        first: { kind: 'altered-column', column: 'type', leafIndex: '1000', offset: '1000' },
      },
    ],
  })
  // Killed when it has read all and is about to write down what it found: others may read what is written.
  const again = await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('begin; lock table verification_parts in exclusive mode')
    const { id } = await operations.startVerification({ topic }, 'ada')
    const waiting = `select from pg_locks where not granted and relation = 'verification_parts'::regclass`
    await until(
      async () => (await client.query(waiting)).rowCount,
      60_000,
      () => first.output,
    )
    await first.kill()
    await client.query('rollback')
    return { id }
  })
  startWorker(1_000)
  expect(reportOf(await ended(again.id))).toEqual(reportOf(whole))
  await workers.at(-1)?.stop()
})

it('all logs, two incarnations among them, in many slices; what runs can be asked and cancelled', {
  timeout: 240_000,
}, async () => {
  const worker = startWorker(1_000)
  const one = await fill(await openLog(fixture.store), 3_000n)
  const next = { topicId: randomUUID(), startOffset: one.position.nextOffset }
  const outcome = await fixture.store.writer.openIncarnation(
    { ...one.log, position: one.position },
    next,
    async () => next.topicId,
  )
  if (outcome.kind !== 'opened') throw new Error(outcome.kind)
  await fill({ log: outcome.log, position: outcome.log.position }, 500n)
  const { topic } = one.log.identity
  const { id } = await operations.startVerification({ topic, partition: 0 }, 'bob')
  const view = await ended(id)
  expect(view.status).toBe('intact')
  expect(view.parts.map(({ incarnation, checked }) => [incarnation, checked])).toEqual([
    [1, '3000'],
    [2, '500'],
  ])
  const newest = await operations.startVerification({ topic, partition: 0, incarnation: 2 }, 'bob')
  expect((await ended(newest.id)).progress).toMatchObject({ parts: 1, checked: '500' })
  const all = await operations.startVerification({}, 'bob')
  const found = await ended(all.id)
  expect(found).toMatchObject({ status: 'damaged', damaged: 1, progress: { parts: 3, partsDone: 3 } })
  expect(found.parts[0]?.verdict).toBe('damaged')

  expect(await codeOf(operations.checkVerification({ topic: 'nowhere' }))).toBe('UNKNOWN_TOPIC')
  expect(await codeOf(operations.checkVerification({ topic, partition: 9 }))).toBe('UNKNOWN_PARTITION')
  expect(await codeOf(operations.checkVerification({ topic, incarnation: 3 }))).toBe('UNKNOWN_PARTITION')
  expect(await codeOf(operations.getVerification(randomUUID()))).toBe('VERIFICATION_NOT_FOUND')
  expect(await codeOf(operations.cancelVerification(all.id))).toBe('VERIFICATION_ENDED')
  const listed = await operations.listVerifications({ limit: 2 })
  expect(listed.items.map((item) => item.id)).toEqual([all.id, newest.id])
  await worker.stop()

  const waiting = await operations.startVerification({}, 'bob')
  expect((await operations.cancelVerification(waiting.id)).status).toBe('running')
  const other = startWorker()
  expect(await ended(waiting.id)).toMatchObject({ status: 'cancelled' })
  await other.stop()
})

it('people start it with nothing but Temporal, and bad input names the field', {
  timeout: 120_000,
}, async () => {
  const worker = startWorker()
  const open = await fill(await openLog(fixture.store), 300n)
  const { topic } = open.log.identity
  const { workflow } = temporal.client
  const view = (await workflow.execute('verifyLog', {
    taskQueue,
    workflowId: `my-verification-${randomUUID()}`,
    args: [{ topic }],
  })) as VerificationView
  expect(view).toMatchObject({ status: 'intact', createdBy: 'temporal' })
  expect(await operations.getVerification(view.id)).toEqual(view)
  await expect(
    workflow.execute('verifyLog', { taskQueue, workflowId: randomUUID(), args: [{ topic, partition: -1 }] }),
  ).rejects.toMatchObject({
    cause: { type: 'BAD_REQUEST', message: expect.stringContaining('partition'), stack: '' },
  })
  await expect(
    workflow.execute('verifyLog', { taskQueue, workflowId: randomUUID(), args: [{ topic: 'nowhere' }] }),
  ).rejects.toMatchObject({ cause: { type: 'UNKNOWN_TOPIC', stack: '' } })
  await worker.stop()
})

it('the API and the commands start, show, schedule and end verifications', { timeout: 240_000 }, async () => {
  const worker = startWorker()
  const open = await fill(await openLog(fixture.store), 1_000n)
  const { topic } = open.log.identity
  const { queries, checkpoints } = fixture.store
  const edge = await startEdge({ operations, queries: { ...queries, ...checkpoints } })
  const evidence = (...args: readonly string[]) => runEvidence(args, { API_URL: edge.url })
  try {
    const found = await evidence('verify-log', '--topic', topic, '--json')
    expect([found.code, found.stderr.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^verification .* started$/),
    ])
    const view = JSON.parse(found.stdout) as VerificationView
    expect(view).toMatchObject({ status: 'intact', progress: { checked: '1000' }, parts: [{ topic }] })
    const shown = await fetch(`${edge.url}/verifications/${view.id}`)
    expect(await shown.json()).toEqual(view)

    await withClient(fixture.database.adminUrl, (client) =>
      withoutGuards(client, () =>
        client.query('delete from events where log_id = $1 and "offset" = 700', [open.log.logId]),
      ),
    )
    const damaged = await evidence('verify-log', '--topic', topic, '--partition', '0')
    expect([damaged.code, damaged.stdout]).toEqual([1, expect.stringContaining('missing at leaf 700')])
    expect(damaged.stderr).toMatch(/verification .*: 1 damaged/)
    expect((await evidence('verify-log', '--partition', 'x', '--topic', topic)).code).toBe(2)
    expect((await evidence('verify-log', '--partition', '1')).stderr).toContain('--topic')
    expect((await evidence('verify-log', '--topic', 'nowhere')).code).toBe(2)
    expect((await evidence('verify-replay', 'nobody')).stderr).toContain('REPLAY_NOT_FOUND')

    expect((await evidence('verification-schedule')).stderr).toContain('SCHEDULE_NOT_FOUND')
    const made = await evidence(
      'verification-schedule',
      '--every-minutes',
      '1440',
      '--topic',
      topic,
      '--json',
    )
    expect(JSON.parse(made.stdout)).toMatchObject({ everyMinutes: 1_440, topic, paused: false })
    const changed = await evidence('verification-schedule', '--every-minutes', '60', '--json')
    expect(JSON.parse(changed.stdout)).not.toHaveProperty('topic')
    const handle = temporal.client.schedule.getHandle(verificationScheduleId(taskQueue))
    expect((await handle.describe()).policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 3_600_000 })
    await handle.trigger()
    const scheduled = await until(
      async () => {
        const { items } = await operations.listVerifications({ limit: 10 })
        return items.find(
          ({ createdBy, status }) => createdBy.startsWith('schedule of') && status !== 'running',
        )
      },
      60_000,
      () => worker.output,
    )
    expect(scheduled).toMatchObject({ kind: 'log', status: 'damaged', request: {} })
    expect(await evidence('verification-schedule', '--off', '--every-minutes', '60')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--off goes with no settings'),
    })
    expect((await evidence('verification-schedule', '--off')).code).toBe(0)
    expect((await evidence('verification-schedule', '--off')).code).toBe(2)
    expect((await evidence('verification-schedule', '--every-minutes', '0')).stderr).toContain(
      '--every-minutes',
    )

    const { recorded } = edge
    expect(recorded).toEqual([])
    const bad = await fetch(`${edge.url}/verification-schedule`, { method: 'PUT', body: '{}' })
    expect(bad.status).toBe(415)
    const { rows } = await withClient(fixture.database.adminUrl, (client) =>
      client.query<{ action: string }>('select distinct action from operator_actions order by action'),
    )
    expect(rows.map(({ action }) => action)).toEqual([
      'replay.verify',
      'verification.schedule',
      'verification.start',
      'verification.unschedule',
    ])
  } finally {
    await edge.close()
  }
  await worker.stop()
})
