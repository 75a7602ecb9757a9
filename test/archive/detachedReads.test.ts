/** Whoever reads a log upon leaves that went away with a detached day is told so: nothing is passed over, and nothing guessed. */
import { randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { planReplay } from '../../activities/planReplay.ts'
import { replaySlice } from '../../activities/replaySlice.ts'
import type { ArchivePlaceConfig } from '../../src/domain/archive/place.ts'
import { hashToHex } from '../../src/domain/hash.ts'
import { rootOf } from '../../src/domain/merkle.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { verifyInclusion } from '../../src/domain/proofs.ts'
import { ServiceError } from '../../src/errors.ts'
import { eventCustody } from '../../src/evidence/custody.ts'
import { runAudit } from '../../src/roles/audit.ts'
import { scopeOf } from '../activities/fixture.ts'
import { runEvidence } from '../cli/evidenceProcess.ts'
import { ageLog, appendTo, type OpenLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { eventValue, idAt, trueEntry, trueEvents, withoutGuards } from '../verification/trueLog.ts'
import { AGE, useDays } from './detachFixture.ts'
import { forgeManifest, key, useArchives } from './fixture.ts'

const archives = useArchives('detached_reads')
const { broker, platform, makeFolder, archive, checkpoint } = archives
const { dayOf, detach, drop } = useDays(archives)

const said = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof ServiceError ? `${error.code}: ${error.message}` : String(error)),
  )

let days = AGE
/** 600 events of a day of its own, a dead letter among them, and 700 of today; archived, not yet detached. */
async function oldLog() {
  const { store } = platform
  const topic = await broker.makeTopic(1)
  const identity = { topic, partition: 0, topicId: randomUUID() }
  const log = await store.writer.openLog(identity, offset(0n), 0)
  const open: OpenLog = { log, position: log.position }
  const letter = trueEntry({ offset: 300n, value: Buffer.from('not json') })
  await appendTo(store, open, [...trueEvents(0n, 300n), letter, ...trueEvents(301n, 600n)], 600n)
  await ageLog(platform, open, ++days)
  const of = await dayOf(open)
  await checkpoint(topic)
  await appendTo(store, open, trueEvents(600n, 1_300n), 1_300n)
  await checkpoint(topic)
  const folder = makeFolder()
  const made = await archive(folder, { topic })
  const roots = new Map<bigint, string>()
  for (const size of [600n, 601n, 1_000n, 1_300n])
    roots.set(size, hashToHex(await store.reader.rootAt(log.logId, leafIndex(size))))
  return { open, of, topic, made, folder, id: log.logId, roots }
}

const detachedBy = (of: string, archiveId: string) =>
  new RegExp(`^DETACHED: The leaves .* went away with the day ${of}, .* in the archive ${archiveId} in /`)

const page = (id: OpenLog['log']['logId'], from: bigint, to: bigint, filters = {}) =>
  platform.store.reader.readPage({
    ...{ logId: id, from: offset(from), to: offset(to), filters, maxScanned: 4_096, maxBytes: 1 << 24 },
  })

it('a replay is not planned over it, and one that was planned before stops at it', {
  timeout: 60_000,
}, async () => {
  const { open, of, topic, made, id } = await oldLog()
  const replay = async (request: object) => {
    const replayId = randomUUID()
    const targetTopic = `${topic}-replay-${replayId.slice(0, 8)}`
    const planned = await planReplay(platform.deps, scopeOf(), {
      ...{ replayId, request: { topic, targetTopic, ...request }, requestedBy: 'test' },
    })
    const input = { replayId, planId: planned.planId, logId: id }
    return { targetTopic, run: () => replaySlice(platform.deps, scopeOf(), input) }
  }
  const before = await replay({})
  expect(await detach(of)).toBe('599')
  for (const stands of [true, false]) {
    if (!stands) await drop(of)
    expect(await said(before.run())).toMatch(detachedBy(of, made.id))
    expect(await broker.readCommitted(before.targetTopic)).toEqual([])
    for (const request of [{}, { partition: 0, fromOffset: '599' }, { filters: { eventTypes: ['none'] } }])
      expect(await said(replay(request))).toMatch(detachedBy(of, made.id))
  }
  // From right behind it, in the middle of a block, all is there.
  const behind = await replay({ partition: 0, fromOffset: '600' })
  expect(await behind.run()).toMatchObject({ done: true, events: '700' })
  const found = await broker.readCommitted(behind.targetTopic)
  expect(found.length).toBe(700)
  expect(open.log.identity.topic).toBe(topic)
})

it('no page leaves out events, whether they went away or were lost', { timeout: 60_000 }, async () => {
  const { of, made, id } = await oldLog()
  expect((await page(id, 0n, 600n)).records.count).toBe(599)
  expect((await page(id, 10n, 300n)).records.count).toBe(290)
  await detach(of)
  for (const [from, to] of [
    [0n, 600n],
    [10n, 20n],
    [299n, 301n],
    [590n, 700n],
  ] as const)
    expect(await said(page(id, from, to))).toMatch(detachedBy(of, made.id))
  expect(await said(page(id, 590n, 700n, { eventTypes: ['none'] }))).toMatch(detachedBy(of, made.id))
  expect((await page(id, 600n, 1_300n)).records.count).toBe(700)
  expect((await page(id, 600n, 650n)).records.count).toBe(50)
  await withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, () => client.query(`delete from events where log_id = ${id} and leaf_index = 700`)),
  )
  for (const [from, to] of [
    [600n, 1_300n],
    [690n, 710n],
  ] as const)
    expect(await said(page(id, from, to))).toMatch(/^LOG_DAMAGED/)
})

it('roots and proofs are those that they were, or it says why there is none', {
  timeout: 60_000,
}, async () => {
  const { store } = platform
  const { of, made, id, roots, open } = await oldLog()
  const event = (await store.queries.findEventsById(idAt(700), { topic: open.log.identity.topic }))[0]
  if (event === undefined) throw new Error('there is no event 700')
  const proof = await store.reader.inclusionProof(id, event.leafIndex, leafIndex(1_300n))
  const consistency = await store.reader.consistencyProof(id, leafIndex(600n), leafIndex(1_300n))
  const late = await store.reader.rootAt(id, leafIndex(100n))
  await detach(of)
  await drop(of)
  for (const [size, root] of roots)
    expect(hashToHex(await store.reader.rootAt(id, leafIndex(size)))).toBe(root)
  expect(await store.reader.inclusionProof(id, event.leafIndex, leafIndex(1_300n))).toEqual(proof)
  expect(await store.reader.consistencyProof(id, leafIndex(600n), leafIndex(1_300n))).toEqual(consistency)
  // The dead letter lies among leaves that are away, whose hashes were written down.
  const root = rootOf(open.position.frontier, leafIndex(1_300n))
  const hashes = await store.reader.inclusionProof(id, leafIndex(300n), leafIndex(1_300n))
  const letter = trueEntry({ offset: 300n, value: Buffer.from('not json') })
  const claim = { index: leafIndex(300n), size: 1_300n, leaf: letter.leaf, root }
  expect(verifyInclusion(claim, hashes)).toBe(true)
  // Of a block that the day filled alone there is nothing but its root.
  for (const work of [
    () => store.reader.rootAt(id, leafIndex(100n)),
    () => store.reader.inclusionProof(id, leafIndex(100n), leafIndex(1_300n)),
    () => store.reader.consistencyProof(id, leafIndex(100n), leafIndex(1_300n)),
    () => store.reader.sizeAt(id, offset(100n)),
    () => store.reader.sizeAt(id, offset(400n)),
  ])
    expect(await said(work())).toMatch(detachedBy(of, made.id))
  for (const [at, size] of [
    [300n, 300n],
    [301n, 301n],
    [600n, 600n],
    [601n, 601n],
    [1_300n, 1_300n],
  ] as const)
    expect(await store.reader.sizeAt(id, offset(at))).toBe(size)
  // A checkpoint that was computed before, and is stored behind it.
  const { topic } = open.log.identity
  const asked = { id: randomUUID(), topic, partition: 0, offset: offset(100n), createdBy: 'test' }
  const position = {
    logId: id,
    partition: 0,
    offset: offset(100n),
    size: leafIndex(100n),
    rootHash: late,
    note: null,
  }
  expect(await said(store.checkpoints.insertCheckpoint({ ...asked, positions: [position] }))).toMatch(
    /^DETACHED/,
  )
  expect(await store.checkpoints.getCheckpoint(asked.id)).toBeNull()
})

it('events are not listed past it, and one by its id may be in it', { timeout: 60_000 }, async () => {
  const { queries, custody, producers } = platform.store
  const { of, made, topic, open } = await oldLog()
  await detach(of)
  const list = (query: object) => queries.findEvents({ topic, limit: 1_000, ...query })
  expect(await said(list({}))).toMatch(detachedBy(of, made.id))
  expect(await said(list({ fromOffset: offset(590n), type: 'none' }))).toMatch(detachedBy(of, made.id))
  expect((await list({ fromOffset: offset(600n) })).items).toHaveLength(700)
  expect(await said(queries.findEventsById(idAt(5), { topic }))).toMatch(
    /^EVENT_NOT_FOUND: .* days? .* are detached: their archives may hold it/,
  )
  const effect = trueEntry({
    ...{ offset: 1_300n },
    value: eventValue(9_000n, { metadata: { version: '1', causationId: idAt(5) } }),
  })
  await appendTo(platform.store, open, [effect], 1_301n)
  const [event] = await queries.findEventsById(idAt(9_000), { topic })
  if (event === undefined) throw new Error('there is no event')
  const view = await eventCustody({ custody, producers }, event)
  expect(view.detached).toMatchObject({ last: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) })
  expect(view.causes.items).toMatchObject([{ causationId: idAt(5) }])
})

it('an audit with notes from elsewhere goes on, and says how many leaves nobody looked at', {
  timeout: 60_000,
}, async () => {
  const { of, topic, folder, id, made } = await oldLog()
  const stored = await platform.store.checkpoints.latestCheckpoint({ topic })
  const notes = join(folder, 'notes')
  mkdirSync(notes)
  for (const { note, size } of stored?.positions ?? []) writeFileSync(join(notes, `${size}.note`), note ?? '')
  await detach(of)
  await drop(of)
  const audit = (quick: boolean, places: readonly ArchivePlaceConfig[] = []) =>
    runAudit(
      {
        ...{
          databaseUrl: platform.database.appUrl,
          sources: [{ kind: 'path', path: notes }],
          quick,
          archives: places,
        },
        ...{ keys: [key.verifierKey], signal: new AbortController().signal, onProgress: () => undefined },
      },
      { s3Credentials: null, kafka: { brokers: [], clientId: 'x', tls: null, sasl: null } },
    )
  expect(await audit(false)).toMatchObject({
    verdict: 'intact',
    logs: [{ notes: 1, verdict: 'intact', detached: '599' }],
  })
  expect((await audit(true)).verdict).toBe('intact')

  // With the archives, which must be there, be those that the database names, and hold the leaves.
  const place = (path: string): ArchivePlaceConfig => ({ kind: 'folder', path })
  for (const quick of [false, true])
    expect(await audit(quick, [place(makeFolder()), place(folder)])).toMatchObject({
      verdict: 'intact',
      logs: [{ detached: '599', held: true }],
    })
  const command = (...more: readonly string[]) =>
    runEvidence(['audit', '--notes', notes, '--key', key.verifierKey.text, '--archives', ...more], {
      DATABASE_URL: platform.database.appUrl,
    })
  const said = await command(folder)
  expect([said.code, said.stdout]).toEqual([
    0,
    expect.stringContaining('599 detached leaves held by archives that were read back'),
  ])
  expect(await command('ftp://x')).toMatchObject({ code: 2, stderr: expect.stringContaining('--archives') })
  const unheld = async (why: RegExp, path = folder) => {
    const report = await audit(true, [place(path)])
    expect([report.verdict, report.logs[0]?.held]).toEqual(['damaged', false])
    expect(report.findings).toMatchObject([{ kind: 'detached-unheld', detail: expect.stringMatching(why) }])
  }
  await unheld(/holds 599, the first of them leaf 0: the archive .* is in none of the places/, makeFolder())
  const forged = makeFolder()
  cpSync(join(folder, made.id), join(forged, made.id), { recursive: true })
  forgeManifest(forged, made.id, (log) => ({ ...log, createdAt: log.createdAt + 1 }))
  await unheld(/is not good \(the database names the manifest [0-9a-f]{64}\): .* has another SHA-256/, forged)
  const damaged = makeFolder()
  cpSync(join(folder, made.id), join(damaged, made.id), { recursive: true })
  const [file = ''] = readdirSync(damaged, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.includes('leaves-'),
  )
  writeFileSync(join(damaged, file), 'x')
  await unheld(/leaves-.*zst/, damaged)
  // A copy elsewhere is as good.
  expect(await audit(true, [place(forged), place(damaged), place(folder)])).toMatchObject({
    verdict: 'intact',
  })
  // A leaf that no archive has.
  await withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, () =>
      client.query(
        `insert into detached_leaves select detachment, log_id, 5000, 5001, 5000, 5001, archives
           from detached_leaves where log_id = $1 limit 1`,
        [id],
      ),
    ),
  )
  await unheld(/of 600 detached leaves, no archive that was read holds 1, the first of them leaf 5000$/)
})
