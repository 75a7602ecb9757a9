/** Notes on their way as workflows: workers that die, places that are away, on real servers. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import {
  cosignatureLines,
  cosignaturesOf,
  parseWitnessKey,
  withLines,
} from '../../src/domain/evidence/cosignature.ts'
import { parseNote } from '../../src/domain/evidence/note.ts'
import { formatSigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { notePath, originOf } from '../../src/domain/evidence/notePlace.ts'
import { formatOrigin, nameOf } from '../../src/domain/evidence/origin.ts'
import type { LogState } from '../../src/ports.ts'
import { workflowIdOfSending } from '../../src/replay/noteRelay.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { startEdge } from '../api/edge.ts'
import { taken, testKey } from '../domain/evidence/keys.ts'
import { appendTo, openLog, useStore } from '../store/fixture.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { s3Missing, startS3Server } from '../support/s3.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'
import { startWitness, witnessMissing } from '../support/witness.ts'
import { trueEvents } from '../verification/trueLog.ts'

const fixture = useStore('sendnotes')
const taskQueue = `test-${randomUUID()}`
const NAME = 'example.com/ingest'
const key = testKey(NAME, 1)
const folder = mkdtempSync(join(tmpdir(), 'test-notes-'))
/** The second is not there at first: a disk that is not mounted. */
const [near, away] = ['near', 'away'].map((name) => join(folder, name)) as [string, string]
const [nearName, awayName] = [`file://${near}`, `file://${away}`] as const
const workers: PlatformProcess[] = []
let temporal: TemporalClient

beforeAll(() => {
  mkdirSync(near)
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  for (const place of [nearName, awayName])
    await temporal.client.workflow
      .getHandle(workflowIdOfSending(taskQueue, place))
      .terminate()
      .catch(() => undefined)
  await temporal.close()
  rmSync(folder, { recursive: true })
})

function startWorker(env: Readonly<Record<string, string>> = {}): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: fixture.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
    CHECKPOINT_SIGNING_KEY: formatSigningKey(NAME, Buffer.alloc(32, 1)),
    NOTE_PLACES: `${nearName},${awayName}`,
    ...env,
  })
  workers.push(worker)
  return worker
}

const outputs = (): string => workers.map(({ output }) => output).join('\n')
const standing = (place: string) =>
  fixture.store.notes.standingOf([place]).then(([found]) => found ?? Promise.reject(new Error('no place')))
const settled = (place: string, timeoutMs = 60_000) =>
  until(async () => (await standing(place)).waiting === 0, timeoutMs, outputs)

async function noteOf(checkpointId: string): Promise<{ readonly note: string; readonly size: bigint }> {
  const { note, size } = (await fixture.store.checkpoints.getCheckpoint(checkpointId))?.positions[0] ?? {}
  if (note === undefined || note === null || size === undefined) throw new Error('it is not signed')
  return { note, size }
}

it('no note is forgotten, whoever dies, and no checkpoint fails because a place is away', {
  timeout: 240_000,
}, async () => {
  const { store } = fixture
  const open = await openLog(store)
  const { topic } = open.log.identity
  expect((await appendTo(store, open, trueEvents(0n, 300n), 300n)).kind).toBe('appended')
  // A worker that died right after it had stored a checkpoint: nobody has started anything.
  const { id: first } = await storeCheckpoint(
    {
      log: store.reader,
      checkpoints: store.checkpoints,
      signingKeys: store.signingKeys,
      signing: { keys: [key], overlapMs: 0 },
      checkpointStored: () => undefined,
    },
    { checkpointId: randomUUID(), request: { topic }, requestedBy: 'test' },
  )
  expect(await standing(nearName)).toMatchObject({ waiting: 1 })

  const worker = startWorker()
  const [, url = ''] = await worker.says(/"url":"(http:[^"]+)"/)
  await settled(nearName)
  const { note, size } = await noteOf(first)
  const file = notePath(originOf(note) ?? '', size)
  expect(readFileSync(join(near, file), 'utf8')).toBe(note)

  // The other place is away: that is seen, and nothing is red.
  await until(async () => (await standing(awayName)).failure !== null, 30_000, outputs)
  expect(await standing(awayName)).toMatchObject({
    waiting: 1,
    failure: { detail: expect.stringContaining('ENOENT') },
  })
  const ready = await fetch(`${url}/health/ready`)
  const shown = (await ready.json()) as { checks: { notes: unknown } }
  expect([ready.status, shown.checks.notes]).toMatchObject([
    200,
    {
      places: {
        [nearName]: { waiting: 0 },
        [awayName]: { waiting: 1, failure: { code: 'PLACE_UNAVAILABLE' } },
      },
    },
  ])
  const metrics = await (await fetch(`${url}/metrics`)).text()
  expect(metrics).toContain(`notes_waiting{place="${awayName}"} 1`)
  expect(metrics).toContain('checkpoint_uncovered_leaves{topic="not-a-target"} 0')
  expect(metrics).toMatch(/notes_placed_total\{place="file:[^"]+near",outcome="held"\} 1/)

  // A checkpoint is made as ever, and is on its way at once: one that comes right behind a look, too.
  let last = ''
  let tookMs = 0
  for (const end of [400n, 500n]) {
    expect((await appendTo(store, open, trueEvents(end - 100n, end), end)).kind).toBe('appended')
    last = randomUUID()
    await temporal.client.workflow.execute('createCheckpoint', {
      taskQueue,
      workflowId: `checkpoint/${last}`,
      args: [{ topic }],
    })
    const startedAt = performance.now()
    await settled(nearName)
    tookMs = performance.now() - startedAt
  }
  // With the next one that comes by itself it would be five seconds.
  expect(tookMs).toBeLessThan(4_000)
  expect(await standing(awayName)).toMatchObject({ waiting: 3 })

  // The worker dies in the middle of its attempts; the place comes back; another worker ends it.
  await worker.kill()
  mkdirSync(away)
  startWorker()
  await settled(awayName, 120_000)
  expect(existsSync(join(away, file))).toBe(true)
  const described = await temporal.client.workflow
    .getHandle(workflowIdOfSending(taskQueue, awayName))
    .result()
  expect(described).toMatchObject({ place: awayName })

  const { queries, checkpoints, notes } = store
  const edge = await startEdge({
    queries: {
      ...{ ...queries, ...checkpoints, ...notes },
      unplacedNotes: (id) => notes.unplacedNotes(id, [nearName, awayName]),
    },
  })
  try {
    const view = (await (await fetch(`${edge.url}/checkpoint/${last}`)).json()) as {
      positions: { heldBy: unknown }[]
    }
    expect(view.positions[0]?.heldBy).toEqual(
      [awayName, nearName].map((place) => ({ place, outcome: 'held', at: expect.any(String) })),
    )
  } finally {
    await edge.close()
  }
  const bad = { taskQueue, workflowId: `send-notes/${taskQueue}/bad` }
  await expect(
    temporal.client.workflow.execute('sendNotes', { ...bad, args: [{ place: 'no place' }] }),
  ).rejects.toMatchObject({ cause: { type: 'BAD_REQUEST', message: expect.stringContaining('place') } })
  await expect(
    temporal.client.workflow.execute('sendNotes', { ...bad, args: [{ place: 'nowhere' }] }),
  ).rejects.toMatchObject({ cause: { type: 'UNKNOWN_PLACE' } })
})

const noWitness = witnessMissing()
it.skipIf(noWitness !== null)(
  'a log that a witness refuses, and a place that is away, keep no other note back: not at this place, not at others',
  { timeout: 600_000 },
  async () => {
    const { store } = fixture
    const queue = `${taskQueue}-refused`
    const [known, unknown] = [await openLog(store), await openLog(store)]
    const originOfLog = (log: LogState): string => formatOrigin({ instance: NAME, ...nameOf(log) })
    const sizes = new Map([known, unknown].map((open) => [open, 0n]))
    const grow = async (open: typeof known): Promise<string> => {
      const from = sizes.get(open) ?? 0n
      const to = from + 20n
      sizes.set(open, to)
      expect((await appendTo(store, open, trueEvents(from, to), to)).kind).toBe('appended')
      const id = randomUUID()
      await temporal.client.workflow.execute('createCheckpoint', {
        taskQueue: queue,
        workflowId: `checkpoint/${id}`,
        args: [{ topic: open.log.identity.topic }],
      })
      return id
    }
    const witness = await startWitness()
    const placesOf = async (id: string) =>
      (await store.notes.placedNotes(id))
        .filter(({ place }) => !place.startsWith('file:'))
        .map(({ place, outcome }) => `${place} ${outcome}`)
    const there = mkdtempSync(join(folder, 'there-'))
    // Nobody listens there: each request is refused. Somebody listens, and never answers. The folder is never mounted.
    const [port = 0] = await lastingPorts(1)
    const mute = createServer()
    const sockets = new Set<Socket>()
    mute.on('connection', (socket) => sockets.add(socket))
    await once(mute.listen(0, '127.0.0.1'), 'listening')
    try {
      for (const log of await store.queries.allLogs())
        if (log.logId !== unknown.log.logId) await witness.knowLog(originOfLog(log), [key.verifierKey.text])
      const places = [
        `witness+http://127.0.0.1:${port}/?name=dead#${witness.verifierKey}`,
        `witness+http://127.0.0.1:${(mute.address() as AddressInfo).port}/?name=mute#${witness.verifierKey}`,
        `file://${folder}/never?name=unmounted`,
        `witness+${witness.url}/?name=picky#${witness.verifierKey}`,
        `file://${there}?name=there`,
      ]
      const worker = startWorker({ NOTE_PLACES: places.join(','), TEMPORAL_TASK_QUEUE: queue })
      await worker.says(/taking work from Temporal/)
      const refused = await grow(unknown)
      await until(async () => (await standing('picky')).refusedLogs === 1, 30_000, outputs)
      const { topic } = unknown.log.identity
      expect(await standing('picky')).toMatchObject({ refused: [{ topic, code: 'LOG_NOT_TAKEN' }] })
      // Behind its fourth attempt it rests for eight seconds.
      await sleep(7_500)
      const took: number[] = []
      for (let round = 0; round < 4; round++) {
        const id = await grow(known)
        const startedAt = performance.now()
        await until(async () => (await placesOf(id)).includes('picky held'), 20_000, outputs)
        await until(async () => (await placesOf(id)).includes('there held'), 20_000, outputs)
        took.push(performance.now() - startedAt)
        await sleep(300)
      }
      expect(Math.max(...took)).toBeLessThan(5_000)
      expect(await placesOf(refused)).toEqual(['there held'])
      expect((await standing('dead')).failure?.code).toBe('PLACE_UNAVAILABLE')
      expect([sockets.size > 0, (await standing('mute')).waiting > 4]).toEqual([true, true])
      // The operator of the witness is told of the log; whoever does not want to wait says so.
      await witness.knowLog(originOfLog(unknown.log), [key.verifierKey.text])
      const handle = temporal.client.workflow.getHandle(workflowIdOfSending(queue, 'picky'))
      await handle.signal('tryAgain')
      const startedAt = performance.now()
      expect(await handle.result()).toMatchObject({ place: 'picky' })
      expect(performance.now() - startedAt).toBeLessThan(4_000)
      expect(await placesOf(refused)).toEqual(['picky held', 'there held'])
      expect(await standing('picky')).toMatchObject({ waiting: 0, refusedLogs: 0 })
    } finally {
      for (const socket of sockets) socket.destroy()
      mute.close()
      for (const place of ['dead', 'mute', 'unmounted', 'picky'])
        await temporal.client.workflow
          .getHandle(workflowIdOfSending(queue, place))
          .terminate()
          .catch(() => undefined)
      await witness.close()
    }
  },
)

const missing = s3Missing() ?? witnessMissing()
it.skipIf(missing !== null)(
  'a worker sends to a locked bucket, a topic and a witness',
  {
    timeout: 700_000,
  },
  async () => {
    const { store } = fixture
    const open = await openLog(store)
    const { identity, incarnation, startOffset, logId } = open.log
    const origin = formatOrigin({ instance: NAME, ...identity, incarnation, startOffset })
    const [server, witness, kafka] = await Promise.all([startS3Server(), startWitness(), TestKafka.connect()])
    try {
      await witness.knowLog(origin, [key.verifierKey.text])
      const bucket = await server.makeBucket(`b-${randomUUID()}`, { objectLock: true })
      const topic = await kafka.topic()
      const places = [
        `s3://${bucket.bucket}/notes?endpoint=${server.endpoint}&lock=compliance&days=1&name=bucket`,
        `kafka:${topic}?name=topic`,
        `witness+${witness.url}/?name=witness#${witness.verifierKey}`,
      ]
      startWorker({
        NOTE_PLACES: places.join(','),
        S3_ACCESS_KEY_ID: server.credentials.accessKeyId,
        S3_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
        TEMPORAL_TASK_QUEUE: `${taskQueue}-remote`,
      })
      const names = ['bucket', 'topic', 'witness']
      const made: string[] = []
      for (const size of [300n, 600n]) {
        const from = open.position.nextOffset
        expect((await appendTo(store, open, trueEvents(from, size), size)).kind).toBe('appended')
        const id = randomUUID()
        await temporal.client.workflow.execute('createCheckpoint', {
          taskQueue: `${taskQueue}-remote`,
          workflowId: `checkpoint/${id}`,
          args: [{ topic: identity.topic }],
        })
        made.push(id)
      }
      // Workers of the tests before send all notes of the database to places of their own.
      const placedOf = async (id: string) =>
        (await store.notes.placedNotes(id)).filter(({ place }) => names.includes(place))
      await until(async () => (await placedOf(made[1] ?? '')).length === 3, 60_000, outputs)
      for (const id of made) {
        const placed = await placedOf(id)
        expect(placed.map(({ place, outcome }) => `${place} ${outcome}`)).toEqual([
          'bucket held',
          'topic held',
          'witness held',
        ])
        const { note } = await noteOf(id)
        const cosigned = taken(parseNote(withLines(note, cosignatureLines(placed))))
        const found = taken(cosignaturesOf(cosigned, [taken(parseWitnessKey(witness.verifierKey))]))
        expect(found).toHaveLength(1)
      }
      expect(await store.notes.heldSize('witness', logId)).toBe(600n)
      // No secret is anywhere in what Temporal keeps.
      for (const place of names) {
        const id = workflowIdOfSending(`${taskQueue}-remote`, place)
        const history = JSON.stringify(await temporal.client.workflow.getHandle(id).fetchHistory())
        expect(history).not.toContain(server.credentials.secretAccessKey)
      }
      expect(outputs()).not.toContain(server.credentials.secretAccessKey)
    } finally {
      await Promise.all([server.close(), witness.close(), kafka.close()])
    }
  },
)
