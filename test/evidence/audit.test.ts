/** `pnpm evidence audit` as a process, on databases that a superuser has damaged: what the notes held elsewhere find. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import type { AuditReport } from '../../src/domain/evidence/auditReport.ts'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { notePath } from '../../src/domain/evidence/notePlace.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { hashToBytes } from '../../src/domain/hash.ts'
import { type Hash, leafIndex } from '../../src/domain/model.ts'
import { auditNotes } from '../../src/evidence/auditNotes.ts'
import { notesOfFolder } from '../../src/places/heldNotes.ts'
import { createObjectStore } from '../../src/s3/objectStore.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { type OpenLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { s3Missing, startS3Server } from '../support/s3.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'
import { eventValue, trueEntry, trueEvents, withoutGuards } from '../verification/trueLog.ts'
import { logOf, verifyWhole } from '../verification/verifyWhole.ts'

const fixture = useStore('audit')
const NAME = 'example.com/ingest'
const key = testKey(NAME, 1)
const folder = mkdtempSync(join(tmpdir(), 'test-audit-'))
const SIZES = [100n, 256n, 300n, 700n, 1_000n]
afterAll(() => rmSync(folder, { recursive: true }))

interface NotedLog {
  readonly open: OpenLog
  readonly origin: string
  readonly notes: string
}

const originOf = ({ log: { identity, incarnation, startOffset } }: OpenLog): string =>
  formatOrigin({ instance: NAME, ...identity, incarnation, startOffset })

/** A log of a thousand leaves with five checkpoints, whose notes are in a folder of their own. */
async function noted(): Promise<NotedLog> {
  const { store } = fixture
  const open = await logOf(store, trueEvents(0n, 1_000n), 1_000n)
  const origin = originOf(open)
  const notes = join(folder, randomUUID())
  for (const size of SIZES) {
    const { topic } = open.log.identity
    const deps = {
      log: store.reader,
      checkpoints: store.checkpoints,
      signingKeys: store.signingKeys,
      signing: { keys: [key], overlapMs: 0 },
      checkpointStored: () => undefined,
    }
    const request = { topic, partition: 0, offset: String(size) }
    const made = await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'test' })
    const note = (await store.checkpoints.getCheckpoint(made.id))?.positions[0]?.note ?? ''
    put(notes, notePath(origin, size), note)
  }
  return { open, origin, notes }
}

function put(notes: string, name: string, text: string): void {
  const path = join(notes, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

async function audit(notes: string, ...flags: readonly string[]) {
  const args = ['audit', '--notes', notes, '--database-url', fixture.database.appUrl, ...flags, '--json']
  const { code, stdout, stderr } = await runEvidence(args, { PATH: process.env['PATH'] ?? '' })
  return { code, stderr, report: JSON.parse(stdout.split('\n')[0] ?? 'null') as AuditReport }
}

const kindsOf = ({ findings }: AuditReport): string[] => findings.map(({ kind }) => kind)
const keyFlag = ['--key', key.verifierKey.text]

const damage = (statements: (client: Client) => Promise<unknown>): Promise<void> =>
  withClient(fixture.database.adminUrl, (client) => withoutGuards(client, statements))

it('a database that nobody touched is what was signed', async () => {
  const { origin, notes, open } = await noted()
  put(notes, 'README', 'these are notes')
  put(notes, '.draft.tmp', 'half a no')
  const found = await audit(notes, ...keyFlag)
  expect(found.report.findings).toEqual([])
  expect([found.code, found.report]).toMatchObject([
    0,
    {
      verdict: 'intact',
      notes: 5,
      passedOver: 1,
      derived: true,
      keysFrom: 'given',
      logs: [{ origin, notes: 5, covered: '1000', size: '1000', verdict: 'intact' }],
    },
  ])
  const quick = await audit(notes, '--quick')
  expect([quick.code, quick.report]).toMatchObject([0, { derived: false, keysFrom: 'database' }])
  const text = await runEvidence(
    ['audit', '--notes', `file://${notes}`, '--origin', originOf(open), '--quick', '--archives', folder],
    { DATABASE_URL: fixture.database.appUrl },
  )
  expect(text.stdout).toContain(
    'no archive was read, since no leaf of these logs is gone with a detached day',
  )
  expect([text.code, text.stdout]).toEqual([
    0,
    expect.stringContaining(`${origin}: intact, 5 notes up to 1000`),
  ])
})

/** The same log, had the event at 400 been another one all along. */
async function rewriteAll({ open, origin }: NotedLog): Promise<void> {
  const forged = trueEntry({ offset: 400n, value: eventValue(400n, { type: 'forged' }) })
  const twin = await logOf(fixture.store, trueEvents(0n, 1_000n).with(400, forged), 1_000n)
  const roots = new Map<bigint, Hash>()
  for (const size of SIZES)
    roots.set(size, await fixture.store.reader.rootAt(twin.log.logId, leafIndex(size)))
  await damage(async (client) => {
    const ids = [open.log.logId, twin.log.logId]
    await client.query(
      `update events e set (key, value, headers, kafka_timestamp, id, type, content_hash, leaf_hash) =
              (o.key, o.value, o.headers, o.kafka_timestamp, o.id, o.type, o.content_hash, o.leaf_hash)
         from events o where e.log_id = $1 and o.log_id = $2 and e."offset" = 400 and o."offset" = 400`,
      ids,
    )
    await client.query(
      'update log_nodes n set hash = o.hash, bytes = o.bytes from log_nodes o where n.log_id = $1 and o.log_id = $2 and n.level = o.level and n.index = o.index',
      ids,
    )
    await client.query(
      'update partition_logs l set frontier = o.frontier, bytes = o.bytes from partition_logs o where l.id = $1 and o.id = $2',
      ids,
    )
    for (const [size, root] of roots)
      await client.query(
        'update checkpoint_positions set root_hash = $3, note = $4 where log_id = $1 and size = $2',
        [
          open.log.logId,
          size,
          hashToBytes(root),
          signCheckpoint({ origin, size, root, extensions: [] }, [key]),
        ],
      )
  })
}

it('a history rewritten with every hash, and signed anew with the stolen key, is found and bounded', async () => {
  const log = await noted()
  await rewriteAll(log)
  // In itself the database is whole: nothing in it tells.
  expect((await verifyWhole(fixture.store, log.open)).findings.kept).toEqual([])
  for (const flags of [[], ['--quick']]) {
    const { code, report, stderr } = await audit(log.notes, ...keyFlag, ...flags)
    expect([code, kindsOf(report)]).toEqual([1, ['rewritten']])
    expect(report.findings[0]).toMatchObject({
      origin: log.origin,
      size: '700',
      count: '2',
      noteRoot: expect.stringMatching(/^[0-9a-f]{64}$/),
      databaseRoot: expect.stringMatching(/^[0-9a-f]{64}$/),
      where: expect.stringContaining('0000000000000000700.note'),
      detail: expect.stringContaining('[300, 700)'),
    })
    expect(stderr).toContain('not what was signed')
  }
})

it('a tail that was cut off with its checkpoints is found', async () => {
  const { open, notes, origin } = await noted()
  const id = open.log.logId
  const twin = await logOf(fixture.store, trueEvents(0n, 512n), 512n)
  await damage(async (client) => {
    await client.query('delete from events where log_id = $1 and "offset" >= 512', [id])
    await client.query('delete from log_nodes where log_id = $1 and level = 8 and index >= 2', [id])
    await client.query('delete from checkpoint_positions where log_id = $1 and size > 512', [id])
    await client.query(
      `update partition_logs l set size = o.size, next_offset = o.next_offset, frontier = o.frontier, bytes = o.bytes,
              last_ingested_at = (select max(ingested_at) from events where log_id = l.id)
         from partition_logs o where l.id = $1 and o.id = $2`,
      [id, twin.log.logId],
    )
  })
  const { code, report } = await audit(notes, ...keyFlag)
  expect([code, kindsOf(report)]).toEqual([1, ['truncated', 'checkpoint-missing']])
  expect(report.findings[0]).toMatchObject({ origin, size: '700', count: '2' })
  expect(report.findings[0]?.detail).toContain('has 512 leaves')
})

it('checkpoints that were dropped are found', async () => {
  const { open, notes } = await noted()
  await damage((client) =>
    client.query('delete from checkpoint_positions where log_id = $1 and size in (256, 700)', [
      open.log.logId,
    ]),
  )
  const { code, report } = await audit(notes, ...keyFlag, '--quick')
  expect([code, report.findings]).toMatchObject([
    1,
    [{ kind: 'checkpoint-missing', size: '256', count: '2' }],
  ])
})

it('bytes that were changed under their leaf hashes are found where they are derived', async () => {
  const { open, notes } = await noted()
  await damage((client) =>
    client.query(`update events set value = value || ' ' where log_id = $1 and "offset" = 123`, [
      open.log.logId,
    ]),
  )
  const { code, report } = await audit(notes, ...keyFlag)
  expect([code, kindsOf(report)]).toEqual([1, ['log-damaged']])
  expect(report.findings[0]?.detail).toContain('leaf 123')
  expect((await audit(notes, ...keyFlag, '--quick')).code).toBe(0)
})

it('keys of two installations, in either order, take no log for one that is missing', async () => {
  const { notes, origin } = await noted()
  const other = ['--key', testKey('example.com/another', 2).verifierKey.text]
  for (const flags of [
    [...other, ...keyFlag],
    [...keyFlag, ...other],
  ]) {
    const { code, report } = await audit(notes, ...flags, '--quick')
    expect([code, report.findings, report.logs]).toMatchObject([0, [], [{ origin, verdict: 'intact' }]])
    // What no note speaks for is named once, and as its own.
    expect(report.withoutNotes.length).toBeGreaterThan(0)
    for (const named of report.withoutNotes) expect(named).toMatch(new RegExp(`^${NAME}/`))
    expect(new Set(report.withoutNotes).size).toBe(report.withoutNotes.length)
    expect(report.withoutNotes).not.toContain(origin)
  }
})

it('a log that was taken away whole is found', async () => {
  const { open, notes, origin } = await noted()
  await damage((client) =>
    client.query("update partition_logs set topic = 'renamed' || id where id = $1", [open.log.logId]),
  )
  const { code, report } = await audit(notes, ...keyFlag, '--quick')
  expect([code, report.findings]).toMatchObject([
    1,
    [{ kind: 'log-missing', origin, size: '1000', count: '5' }],
  ])
})

describe('notes', () => {
  let log: NotedLog
  beforeAll(async () => {
    log = await noted()
  })

  it('that are not good, or disagree with each other, are named', async () => {
    const { notes, origin } = await noted()
    const root = Buffer.alloc(32, 1).toString('latin1') as Hash
    const body = { origin, size: 300n, root, extensions: [] }
    put(notes, 'other/300.note', signCheckpoint(body, [key]))
    put(notes, 'other/x.note', signCheckpoint(body, [testKey(NAME, 9)]))
    put(notes, 'other/y.note', 'no note')
    const { code, report } = await audit(notes, ...keyFlag, '--quick')
    expect(code).toBe(1)
    expect(kindsOf(report).sort()).toEqual(['bad-note', 'notes-disagree', 'unreadable-note'].sort())
  })

  it('that are none, a key that signed none and a database that is away are no proof', async () => {
    const empty = mkdtempSync(join(folder, 'empty-'))
    expect((await audit(empty)).code).toBe(1)
    // Nor does another place speak for one that is empty.
    for (const places of [
      [empty, log.notes],
      [log.notes, empty],
    ]) {
      const flags = places.flatMap((place) => ['--notes', place])
      const args = ['audit', ...flags, ...keyFlag, '--quick']
      const env = { DATABASE_URL: fixture.database.appUrl }
      const one = await runEvidence([...args, '--json'], env)
      expect(one).toMatchObject({ code: 1, stderr: expect.stringContaining(empty) })
      const report = JSON.parse(one.stdout.split('\n')[0] ?? 'null') as AuditReport
      expect(report).toMatchObject({ verdict: 'damaged', emptyPlaces: [empty], findings: [] })
      expect((await runEvidence(args, env)).stdout).toContain(`${empty}: no good note was found there`)
    }
    const other = await audit(log.notes, '--key', testKey(NAME, 9).verifierKey.text)
    expect([other.code, kindsOf(other.report)]).toEqual([1, Array(5).fill('bad-note')])
    const bad: [string[], RegExp, number][] = [
      [['--notes', join(folder, 'nowhere'), '--database-url', fixture.database.appUrl], /ENOENT/, 1],
      [['--notes', log.notes, '--database-url', 'postgres://a:secret@127.0.0.1:1/x'], /DATABASE|database/, 1],
      [['--notes', log.notes], /--database-url/, 2],
      [['--notes', 's3://Bad'], /--notes/, 2],
      [['--database-url', fixture.database.appUrl], /--notes/, 2],
      [['--notes', log.notes, '--key', 'x', '--database-url', fixture.database.appUrl], /--key/, 2],
    ]
    for (const [args, why, exit] of bad) {
      const { code, stderr, stdout } = await runEvidence(['audit', ...args], {})
      expect([args, code, stderr]).toEqual([args, exit, expect.stringMatching(why)])
      expect(stderr + stdout).not.toContain('secret')
    }
  })
})

it('however many notes are bad, a hundred are listed and the others counted', async () => {
  const { reader, queries, notes, signingKeys } = fixture.store
  const deps = {
    reader,
    logs: queries,
    notes,
    signingKeys,
    derive: async () => ({ damage: null, detached: 0n }),
    held: null,
  }
  async function* bad() {
    for (let at = 0; at < 250; at++)
      yield { where: `file ${at}`, bytes: Buffer.from('no note'), isNote: true }
  }
  const onProgress = () => undefined
  const report = await auditNotes(deps, bad(), { keys: [key.verifierKey], quick: true, onProgress })
  expect(report).toMatchObject({ verdict: 'damaged', notes: 0 })
  expect(report.findings).toHaveLength(101)
  expect(report.findings.at(-1)).toEqual({
    kind: 'unreadable-note',
    count: '150',
    detail: 'more of the same',
  })
})

const noBucket = s3Missing()
it.skipIf(noBucket !== null)(
  'notes are read from a bucket and from a topic too',
  { timeout: 600_000 },
  async () => {
    const { notes, open } = await noted()
    const server = await startS3Server()
    const kafka = await TestKafka.connect()
    try {
      const topic = await kafka.topic(2)
      const place = await server.makeBucket(`b-${randomUUID()}`)
      const store = createObjectStore(place, server.credentials)
      const { signal } = new AbortController()
      for await (const { where, bytes } of notesOfFolder(notes, new AbortController().signal)) {
        await store.put(`notes/${basename(where)}`, bytes, { signal })
        await kafka.producer.send({ topic, acks: -1, messages: [{ key: 'origin', value: bytes }] })
      }
      store.close()
      const env = {
        DATABASE_URL: fixture.database.appUrl,
        KAFKA_BROKERS: testServers().kafkaBrokers,
        S3_ACCESS_KEY_ID: server.credentials.accessKeyId,
        S3_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      }
      const bucket = `s3://${place.bucket}/notes?endpoint=${server.endpoint}`
      const run = (...flags: readonly string[]) =>
        runEvidence(['audit', '--quick', '--notes', bucket, '--notes', `kafka:${topic}`, ...flags], env)
      const { code, stdout, stderr } = await run(...keyFlag)
      expect([code, stdout, stderr]).toEqual([
        0,
        expect.stringContaining('10 notes of 1 logs'),
        expect.any(String),
      ])
      await damage((client) =>
        client.query('delete from checkpoint_positions where log_id = $1 and size = 300', [open.log.logId]),
      )
      expect((await run()).stdout).toContain('CHECKPOINT-MISSING')
      // With a stolen key somebody puts another note before a locked one.
      const locked = await server.makeBucket(`b-${randomUUID()}`, { objectLock: true })
      const held = createObjectStore(locked, server.credentials)
      const truth = await fixture.store.reader.rootAt(open.log.logId, leafIndex(700n))
      for (const root of [truth, Buffer.alloc(32, 3).toString('latin1') as Hash]) {
        const note = signCheckpoint({ origin: originOf(open), size: 700n, root, extensions: [] }, [key])
        await held.put('a.note', Buffer.from(note), { signal })
      }
      held.close()
      const hidden = await runEvidence(
        ['audit', '--quick', '--notes', `s3://${locked.bucket}?endpoint=${server.endpoint}`],
        env,
      )
      expect([hidden.code, hidden.stdout]).toEqual([1, expect.stringContaining('NOTES-DISAGREE')])
      const away = await runEvidence(['audit', '--notes', `kafka:nowhere-${randomUUID()}`], env)
      expect([away.code, away.stderr]).toEqual([1, expect.stringContaining('there is no topic')])
    } finally {
      await kafka.close()
      await server.close()
    }
  },
)
