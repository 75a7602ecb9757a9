/** Archives as a workflow and by command, on real servers: a worker that is killed, cancellation, bad input, the whole way round. */
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type ArchiveView, archiveEnded } from '../../src/domain/archive/view.ts'
import { formatSigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import { type ArchiveOperations, createArchiveOperations } from '../../src/replay/archiveOperations.ts'
import { createTemporalClient, type TemporalClient } from '../../src/replay/temporalClient.ts'
import { startEdge } from '../api/edge.ts'
import { appendTo, type OpenLog, openLog, useStore } from '../store/fixture.ts'
import { createTestDatabase, withClient } from '../support/database.ts'
import { PlatformProcess, until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { motley, trueEvents } from '../verification/trueLog.ts'
import { rowsOf } from './fixture.ts'

const fixture = useStore('archiveflow')
const taskQueue = `test-${randomUUID()}`
const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-archives-'))
const privateKey = formatSigningKey('example.com/ingest', Buffer.alloc(32, 7))
const workers: PlatformProcess[] = []
let temporal: TemporalClient
let operations: ArchiveOperations

beforeAll(() => {
  const address = testServers().temporalAddress
  temporal = createTemporalClient({ address, namespace: 'default', taskQueue, apiKey: null, tls: null })
  const { archives, holds, queries } = fixture.store
  operations = createArchiveOperations({
    ...{ temporal, taskQueue, archives, holds, logs: queries, hasPlace: true },
  })
})
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()))
  await temporal.close()
  rmSync(folder, { recursive: true, force: true })
})

function startWorker(env: Readonly<Record<string, string>> = {}): PlatformProcess {
  const worker = new PlatformProcess('worker', {
    KAFKA_BROKERS: testServers().kafkaBrokers,
    KAFKA_TOPICS: 'not-a-target',
    DATABASE_URL: fixture.database.appUrl,
    TEMPORAL_ADDRESS: testServers().temporalAddress,
    TEMPORAL_TASK_QUEUE: taskQueue,
    CHECKPOINT_SIGNING_KEY: privateKey,
    ARCHIVE_PLACE: `file://${folder}`,
    ...env,
  })
  workers.push(worker)
  return worker
}

const ended = (id: string): Promise<ArchiveView> =>
  until(
    async () => {
      const view = await operations.getArchive(id)
      return archiveEnded(view.status) && view
    },
    60_000,
    () => workers.at(-1)?.output ?? '',
  )

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
  )

async function aLog(count = 500): Promise<OpenLog> {
  const open = await openLog(fixture.store)
  const { entries, end } = motley(0n, count)
  await appendTo(fixture.store, open, entries, end)
  return open
}

const filesOf = (id: string): string[] =>
  readdirSync(join(folder, id), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort()

it('an archive whose worker is killed goes on exactly, and no file is there twice', {
  timeout: 120_000,
}, async () => {
  const open = await aLog()
  const { topic } = open.log.identity
  const first = startWorker()
  // Killed when a file is put and about to be noted.
  const { id } = await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('begin; lock table archive_files in share row exclusive mode')
    const started = await operations.startArchive({ topic }, 'ada')
    const waiting = `select from pg_locks where not granted and relation = 'archive_files'::regclass`
    await until(
      async () => (await client.query(waiting)).rowCount,
      60_000,
      () => first.output,
    )
    expect(filesOf(started.id)).toHaveLength(1)
    await first.kill()
    // The server would still do what a dead client has asked for.
    await client.query(
      `select pg_terminate_backend(pid) from pg_locks where not granted and relation = 'archive_files'::regclass`,
    )
    await client.query('rollback')
    return started
  })
  expect(await operations.getArchive(id)).toMatchObject({ status: 'running', progress: { written: '0' } })
  startWorker()
  const view = await ended(id)
  expect(view).toMatchObject({
    ...{ status: 'verified', createdBy: 'ada', request: { topic }, place: `${folder}/${id}` },
    progress: { logs: 1, leaves: '500', written: '500', files: 2 },
  })
  const { rows } = await withClient(fixture.database.adminUrl, (client) =>
    client.query<{ name: string }>('select name from archive_files where archive_id = $1', [id]),
  )
  const noted = rows.map(({ name }) => name.split('/').at(-1) ?? '')
  expect(filesOf(id)).toEqual([...noted, 'manifest.json'].sort())
  // A checkpoint was made, so that a signature covers the archive to its end.
  const checkpoint = await fixture.store.checkpoints.latestCheckpoint({ topic })
  expect(checkpoint?.positions[0]).toMatchObject({ size: 500n, note: expect.stringContaining('\n500\n') })
  expect(await codeOf(operations.cancelArchive(id))).toBe('ARCHIVE_ENDED')
})

it('people start it with nothing but Temporal, bad input names the field, and it can be cancelled', {
  timeout: 120_000,
}, async () => {
  const { topic } = (await aLog(300)).log.identity
  const { workflow } = temporal.client
  const start = (input: unknown, workflowId: string = randomUUID()) =>
    workflow.execute('archive', { taskQueue, workflowId, args: [input] })
  const view = (await start({ topic, partition: 0, toLeaf: '290' })) as ArchiveView
  expect(view).toMatchObject({ status: 'verified', createdBy: 'temporal', progress: { leaves: '290' } })
  expect(await operations.getArchive(view.id)).toEqual(view)
  await expect(start({ topic, from: 'soon' })).rejects.toMatchObject({
    cause: { type: 'BAD_REQUEST', message: expect.stringContaining('from') },
  })
  await expect(start({ topic: 'nowhere' })).rejects.toMatchObject({ cause: { type: 'UNKNOWN_TOPIC' } })
  expect(await codeOf(operations.checkArchive({ topic: 'nowhere' }))).toBe('UNKNOWN_TOPIC')
  expect(await codeOf(operations.getArchive(randomUUID()))).toBe('ARCHIVE_NOT_FOUND')
  await workers.at(-1)?.stop()

  const waiting = await operations.startArchive({ topic }, 'bob')
  expect((await operations.cancelArchive(waiting.id)).status).toBe('running')
  const homeless = startWorker({ ARCHIVE_PLACE: '' })
  expect(await ended(waiting.id)).toMatchObject({ status: 'cancelled' })
  await expect(start({ topic })).rejects.toMatchObject({ cause: { type: 'ARCHIVE_PLACE_MISSING' } })
  await homeless.stop()
})

it('an archive whose place the worker at hand does not have waits for one that has it', {
  timeout: 120_000,
}, async () => {
  const { log, position } = await aLog(100)
  const { archives } = fixture.store
  const id = randomUUID()
  const [workflowId, request] = [`archive/${id}`, { topic: log.identity.topic }]
  // As a worker with the right place began it, which is gone.
  const range = await archives.leavesOf(log.logId, leafIndex(0n), position.size)
  const rootHash = rootOf(await archives.frontierAt(log.logId, range.toLeaf), range.toLeaf)
  await archives.insertArchive({
    ...{ id, workflowId, request, place: folder, createdBy: 'ada' },
    logs: [{ logId: log.logId, ...range, rootHash }],
  })
  await temporal.client.workflow.start('archive', { taskQueue, workflowId, args: [request] })
  const elsewhere = mkdtempSync(join(tmpdir(), 'streaming-ingest-elsewhere-'))
  try {
    const wrong = startWorker({ ARCHIVE_PLACE: `file://${elsewhere}` })
    const standing = await until(
      async () => {
        const view = await operations.getArchive(id)
        return view.waiting?.code === 'ARCHIVE_PLACE_DIFFERS' && view
      },
      60_000,
      () => wrong.output,
    )
    expect(standing).toMatchObject({ status: 'running', waiting: { attempts: expect.any(Number) } })
    expect(standing.waiting?.detail).toContain(
      `is at ${folder}, and ARCHIVE_PLACE of this worker is ${elsewhere}:`,
    )
    const edge = await startEdge({
      ...{ operations, queries: { ...fixture.store.queries, ...fixture.store.checkpoints } },
    })
    const shown = spawn(process.execPath, [entry, 'show', id], {
      ...{ env: { API_URL: edge.url }, cwd: tmpdir(), stdio: ['ignore', 'pipe', 'inherit'] },
    })
    let said = ''
    shown.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8')
    })
    const closed = once(shown, 'close')
    try {
      await until(
        async () => said.includes('waits, tried '),
        30_000,
        () => said,
      )
      expect(said).toContain(`ARCHIVE_PLACE_DIFFERS: the archive ${id} is at ${folder}`)
      startWorker()
      expect(await closed).toEqual([0, null])
      expect(said).toContain(`${id}  verified`)
    } finally {
      shown.kill('SIGKILL')
      await edge.close()
    }
    const done = await ended(id)
    expect(done).toMatchObject({ status: 'verified', place: `${folder}/${id}` })
    expect(done.waiting).toBeUndefined()
    expect(readdirSync(elsewhere)).toEqual([])
    await wrong.stop()
  } finally {
    rmSync(elsewhere, { recursive: true })
  }
})

it('the commands archive, hold, verify, detach and recover, and say what is wrong', {
  timeout: 120_000,
}, async () => {
  startWorker()
  const open = await aLog(300)
  const { topic } = open.log.identity
  const { queries, checkpoints } = fixture.store
  const edge = await startEdge({ operations, queries: { ...queries, ...checkpoints } })
  const database = await createTestDatabase('recover')
  const inService = (...args: readonly string[]) => runArchive(args, { API_URL: edge.url })
  const asOwner = (...args: readonly string[]) =>
    runArchive(args, { DATABASE_ADMIN_URL: database.adminUrl, KAFKA_BROKERS: testServers().kafkaBrokers })
  try {
    const made = await inService('create', '--topic', topic, '--reason', 'the monthly one', '--json')
    expect([made.code, made.stderr.split('\n')[0]]).toEqual([
      0,
      expect.stringMatching(/^archive .* started$/),
    ])
    const view = JSON.parse(made.stdout) as ArchiveView
    expect(view).toMatchObject({ status: 'verified', progress: { leaves: '300' } })
    expect((await inService('show', view.id)).stdout).toContain(`${topic}/0, incarnation 1: leaves 0 to 300`)
    expect((await inService('list')).stdout).toContain(`${view.id}  verified`)
    expect((await inService('create', '--topic', topic, '--to-leaf', '7')).stderr).toContain('--partition')
    expect((await inService('create', '--topic', 'nowhere')).code).toBe(2)
    expect((await inService('show', randomUUID())).stderr).toContain('ARCHIVE_NOT_FOUND')
    expect((await inService('cancel', view.id)).stderr).toContain('ARCHIVE_ENDED')

    const held = ['--tenant-id', 'tenant-1', '--reason', 'a case'] as const
    expect((await inService('hold', ...held)).stdout).toContain('held    tenant tenant-1')
    expect(await inService('hold', ...held)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('held already'),
    })
    expect((await inService('holds')).stdout).toContain('a case')
    expect((await inService('lift', ...held)).code).toBe(0)
    expect((await inService('lift', ...held)).code).toBe(2)
    expect((await inService('hold', '--reason', 'x')).code).toBe(2)
    expect((await inService('hold', '--topic', topic, '--tenant-id', 'a', '--reason', 'x')).code).toBe(2)
    const { rows } = await withClient(fixture.database.adminUrl, (client) =>
      client.query<{ action: string }>('select distinct action from operator_actions order by action'),
    )
    expect(rows.map(({ action }) => action)).toEqual([
      'archive.cancel',
      'archive.start',
      'hold.lift',
      'hold.set',
    ])

    const keys = join(folder, 'keys')
    const { periods } = await fixture.store.signingKeys.keyState()
    writeFileSync(keys, periods.map((period) => `${period.key.text}\n`).join(''))
    const notes = join(folder, 'notes')
    mkdirSync(join(notes, 'a', 'b'), { recursive: true })
    const [position] = (await checkpoints.latestCheckpoint({ topic }))?.positions ?? []
    writeFileSync(join(notes, 'a', 'b', '300.note'), position?.note ?? '')
    const verified = await asOwner('verify', folder, '--archive', view.id, '--key', keys)
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('under a signed note')])
    expect(await asOwner('verify', folder)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('NOTE_REFUSED'),
    })
    expect(await asOwner('verify', join(folder, 'empty'))).toMatchObject({ code: 1 })
    expect(await asOwner('verify', 'ftp://place')).toMatchObject({ code: 2 })

    const recovering = ['recover', '--from', folder, '--key', keys, '--notes', notes] as const
    const nobody = await runArchive(recovering, {})
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining('DATABASE_ADMIN_URL') })
    expect(
      (await asOwner('recover', '--from', folder, '--key', keys, '--notes', '/nowhere')).stderr,
    ).toContain('/nowhere cannot be read')
    // As a migration does: the owner of one address, in the database that the application's names.
    const { pathname } = new URL(database.adminUrl)
    const elsewhere = Object.assign(new URL(database.adminUrl), { pathname: '/postgres' }).href
    expect(pathname).not.toBe('/postgres')
    const done = await runArchive([...recovering, '--json'], {
      ...{ DATABASE_ADMIN_URL: elsewhere, DATABASE_URL: database.appUrl },
    })
    // Nobody asked Kafka.
    expect(done.code, done.stderr).toBe(1)
    const report = JSON.parse(done.stdout)
    const log = report.logs.find((each: { topic: string }) => each.topic === topic)
    expect(log).toMatchObject({
      leaves: '300',
      provenTo: '300',
      notes: { matched: 1 },
      missing: [{ state: 'unknown' }],
    })
    expect(await rowsOf(database.adminUrl, topic)).toEqual(await rowsOf(fixture.database.adminUrl, topic))
    expect(await asOwner(...recovering)).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('DATABASE_NOT_EMPTY') },
    })

    const today = new Date().toISOString().slice(0, 10)
    expect(await asOwner('detach', '--day', today, '--reason', 'x')).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('too young') },
    })
    expect((await asOwner('detach', '--day', today)).stderr).toContain('--reason')
  } finally {
    await edge.close()
    await database.drop()
  }
})

it('a recovery that is killed leaves an empty database, and can be done again', {
  timeout: 60_000,
}, async () => {
  const database = await createTestDatabase('recover')
  const keys = join(folder, 'keys')
  const args = ['recover', '--from', folder, '--key', keys, '--json']
  const env = { DATABASE_ADMIN_URL: database.adminUrl }
  try {
    await withClient(database.adminUrl, async (client) => {
      // Killed when all is written and about to be committed.
      await client.query('begin; lock table operator_actions in share row exclusive mode')
      const child = spawn(process.execPath, [entry, ...args], { env, cwd: tmpdir(), stdio: 'ignore' })
      const waiting = `from pg_locks where not granted and relation = 'operator_actions'::regclass`
      await until(
        async () => (await client.query(`select ${waiting}`)).rowCount,
        40_000,
        () => `it ended with ${child.exitCode}`,
      )
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      await client.query(`select pg_terminate_backend(pid) ${waiting}`)
      await client.query('rollback')
      expect((await client.query('select from events')).rowCount).toBe(0)
      expect((await client.query('select from partition_logs')).rowCount).toBe(0)
    })
    expect(await runArchive(args, env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nobody knows'),
    })
  } finally {
    await database.drop()
  }
})

it('a whole log of many files is read back', { timeout: 120_000 }, async () => {
  const open = await openLog(fixture.store)
  for (let at = 0n; at < 70_000n; at += 5_000n)
    await appendTo(fixture.store, open, trueEvents(at, at + 5_000n), at + 5_000n)
  const { id } = await operations.startArchive({ topic: open.log.identity.topic }, 'ada')
  const view = await ended(id)
  expect(view).toMatchObject({ status: 'verified', progress: { written: '70000', files: 4 } })
})

const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))

/** The command as its own process, as `pnpm archive` starts it. */
function runArchive(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [entry, ...args], { env, cwd: tmpdir() }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}
