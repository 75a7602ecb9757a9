/** A log on its way out of one database and into another: nothing changes on the way, and what was changed is named. */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { archiveSlice } from '../../activities/archive/archiveSlice.ts'
import { planArchive } from '../../activities/archive/planArchive.ts'
import { adoptNotes } from '../../src/archive/adoptNotes.ts'
import { parseManifest } from '../../src/domain/archive/manifest.ts'
import { parseArchiveRequest } from '../../src/domain/archive/request.ts'
import { verifyEvidence } from '../../src/domain/evidence/verifyEvidence.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { createEvidenceOperations } from '../../src/evidence/operations.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore } from '../../src/store/store.ts'
import { scopeOf } from '../activities/fixture.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { appendTo, type OpenLog, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { eventValue, idAt, motley, trueEntry, trueEvents, withoutGuards } from '../verification/trueLog.ts'
import { verifyWhole } from '../verification/verifyWhole.ts'
import { codeOf, key, recoverInto, rowsOf, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase, depsFor } = useArchives('archives')

const { signal } = new AbortController()

/** Every kind of row, bytes of every value among them. */
async function motleyLog(count = 900): Promise<OpenLog> {
  const open = await openLog(platform.store, 100n)
  const { entries, end } = motley(100n, count)
  const strange = trueEntry({
    offset: end,
    key: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    value: eventValue(end, { data: { nul: 'a\u0000b', text: '\u{1f600} ü', deep: [[], {}] } }),
    headers: Buffer.from([4, 2, 0, 1, 2, 97, 4, 0, 255]),
  })
  await appendTo(platform.store, open, entries.slice(0, 200), offsetOf(entries[200]))
  await appendTo(platform.store, open, [...entries.slice(200), strange], end + 7n)
  return open
}

function offsetOf(entry: ReturnType<typeof motley>['entries'][number] | undefined): bigint {
  if (entry?.kind === 'record') return entry.records.offsets[entry.index] as bigint
  return entry?.kind === 'gap' ? entry.from : (entry?.batch.firstOffset ?? 0n)
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.'))

describe('what was archived', () => {
  it('comes back byte for byte, row for row, and the log goes on as if nothing had been', {
    timeout: 60_000,
  }, async () => {
    const open = await motleyLog()
    const { topic } = open.log.identity
    const next = { topicId: randomUUID(), startOffset: open.position.nextOffset }
    const notes = [...(await checkpoint(topic))]
    const opened = await platform.store.writer.openIncarnation(
      { ...open.log, position: open.position },
      next,
      async () => next.topicId,
    )
    if (opened.kind !== 'opened') throw new Error(opened.kind)
    const second = { log: opened.log, position: opened.log.position }
    const start = second.position.nextOffset
    await appendTo(platform.store, second, trueEvents(start, start + 300n), start + 300n)
    notes.push(...(await checkpoint(topic)))
    await platform.store.holds.putHold(
      { scope: 'tenant', subject: 'tenant-3', reason: 'a case' },
      true,
      'ada',
    )

    const folder = makeFolder()
    const view = await archive(folder, { topic })
    expect(view).toMatchObject({ status: 'verified', progress: { logs: 2, leaves: '1201', written: '1201' } })
    const database = await emptyDatabase()
    const report = await recoverInto(database, folder, { notes })
    expect(report).toMatchObject({
      // Kafka was not asked what came after.
      complete: false,
      checkpoints: 2,
      unfinished: [],
      withoutArchive: [],
      logs: [
        { incarnation: 1, leaves: '901', provenTo: '901', missing: [], reclassified: '0' },
        { incarnation: 2, leaves: '300', provenTo: '300', missing: [{ where: 'tail', state: 'unknown' }] },
      ],
    })
    expect(await rowsOf(database.adminUrl, topic)).toEqual(await rowsOf(platform.database.adminUrl, topic))

    // The guards are as they were, and verification, proofs and ingest go on.
    const connections = createDatabase({ url: database.appUrl })
    try {
      const store = createStore(connections)
      for (const log of await store.queries.allLogs()) {
        const progress = await verifyWhole(store, { log, position: log.position })
        expect(progress.findings).toEqual({ kept: [], counts: {} })
      }
      const [log] = await store.reader.logsOf(topic)
      if (log === undefined) throw new Error('no log')
      const recovered = { log, position: log.position }
      const more = trueEvents(start + 300n, start + 900n)
      for (const [place, each] of [
        [platform.store, second],
        [store, recovered],
      ] as const)
        expect((await appendTo(place, each, more, start + 900n)).kind).toBe('appended')
      const position = async (of: typeof store) => (await of.reader.logsOf(topic))[0]?.position
      expect(await position(store)).toEqual(await position(platform.store))
      const repeated = [trueEntry({ offset: start + 900n, value: eventValue(start + 5n) })]
      const outcome = await appendTo(store, recovered, repeated, start + 901n)
      expect(outcome).toMatchObject({ events: 0, deadLetters: new Map([['DUPLICATE_ID', 1]]) })
      expect((await store.signingKeys.keyState()).periods.map((period) => period.key.text)).toEqual([
        key.verifierKey.text,
      ])
      expect(await store.holds.listHolds()).toEqual(await platform.store.holds.listHolds())
    } finally {
      await connections.close()
    }
    expect(await codeOf(recoverInto(database, folder))).toMatch(/^DATABASE_NOT_EMPTY: .*partition_logs/)
    await platform.store.holds.putHold({ scope: 'tenant', subject: 'tenant-3', reason: 'over' }, false, 'ada')
  })

  it('is written in files that name their own hash and that the offline verifier reads', async () => {
    const open = await motleyLog(400)
    const folder = makeFolder()
    const { id, manifestHash } = await archive(folder, { topic: open.log.identity.topic })
    const text = readFileSync(join(folder, id, 'manifest.json'))
    expect(hashToHex(sha256(text))).toBe(manifestHash)
    const manifest = parseManifest(text.toString('utf8'))
    if (!manifest.ok) throw new Error(manifest.detail)
    const [log] = manifest.value.logs
    expect(log?.files).toHaveLength(1)
    for (const file of log?.files ?? []) {
      const packed = readFileSync(join(folder, id, file.name))
      expect(file.name).toContain(hashToHex(sha256(packed)))
      const found = verifyEvidence({ file: zstdDecompressSync(packed), trust: { keys: [] } })
      expect(found).toMatchObject({ ok: true, value: { what: 'records', count: 401 } })
    }
  })

  it('is the part that was asked for: leaves, or days', { timeout: 60_000 }, async () => {
    const open = await openLog(platform.store)
    for (const from of [0n, 500n]) {
      await appendTo(platform.store, open, trueEvents(from, from + 500n), from + 500n)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
    const { topic } = open.log.identity
    const middle = await withClient(platform.database.adminUrl, async (client) => {
      const { rows } = await client.query<{ at: Date }>(
        'select min(ingested_at) as at from events where log_id = $1 and "offset" >= 500',
        [open.log.logId],
      )
      return rows[0]?.at.toISOString() ?? ''
    })
    const rangeOf = async (request: object) => {
      const { logs } = await archive(makeFolder(), { topic, ...request })
      return [logs[0]?.fromLeaf, logs[0]?.toLeaf, logs[0]?.fromOffset, logs[0]?.toOffset].map(Number)
    }
    expect(await rangeOf({ from: middle })).toEqual([500, 1_000, 500, 1_000])
    expect(await rangeOf({ to: middle })).toEqual([0, 500, 0, 500])
    expect(await rangeOf({ partition: 0, fromLeaf: '257', toLeaf: '300' })).toEqual([257, 300, 257, 300])
    expect(await rangeOf({ partition: 0, fromLeaf: '999' })).toEqual([999, 1_000, 999, 1_000])
    expect(await codeOf(rangeOf({ from: '2020-01-01', to: '2020-01-02' }))).toMatch(/^RANGE_EMPTY/)
    expect(await codeOf(rangeOf({ partition: 0, toLeaf: '1001' }))).toMatch(
      /^OFFSET_NOT_INGESTED: toLeaf: there are 1000 leaves, not yet 1001/,
    )
    expect(await codeOf(rangeOf({ partition: 3 }))).toMatch(/^UNKNOWN_PARTITION/)
  })

  it('several archives make one log, whatever their order and overlap; what lies between them is named', {
    timeout: 60_000,
  }, async () => {
    const open = await openLog(platform.store)
    await appendTo(platform.store, open, trueEvents(0n, 1_000n), 1_000n)
    const { topic } = open.log.identity
    const folder = makeFolder()
    const part = (fromLeaf: number, toLeaf: number) =>
      archive(folder, { topic, partition: 0, fromLeaf: String(fromLeaf), toLeaf: String(toLeaf) })
    await part(700, 1_000)
    const [note] = await checkpoint(topic)
    await part(0, 300)
    const partial = await recoverInto(await emptyDatabase(), folder, { notes: note ? [note] : [] })
    expect(partial).toMatchObject({
      complete: false,
      logs: [
        {
          ...{ leaves: '300', nextOffset: '300', provenTo: null, notes: { matched: 0, larger: 1 } },
          missing: [
            { where: 'archive', fromLeaf: '300', toLeaf: '700', fromOffset: '300', toOffset: '700' },
            { where: 'tail', state: 'unknown', fromLeaf: '300', toLeaf: '1000' },
          ],
        },
      ],
    })
    await part(250, 750)
    const whole = await recoverInto(await emptyDatabase(), folder, { notes: note ? [note] : [] })
    expect(whole).toMatchObject({
      logs: [
        {
          ...{ leaves: '1000', provenTo: '1000', notes: { matched: 1, larger: 0 } },
          missing: [{ where: 'tail', state: 'unknown' }],
        },
      ],
    })
  })
})

describe('what is not as it was archived', () => {
  it('is refused and named: files, manifest, notes, keys; and nothing is written', {
    timeout: 60_000,
  }, async () => {
    const open = await motleyLog(300)
    const { topic } = open.log.identity
    const notes = await checkpoint(topic)
    const folder = makeFolder()
    const { id } = await archive(folder, { topic })
    const database = await emptyDatabase()
    const refused = (options: Parameters<typeof recoverInto>[2] = { notes }) =>
      codeOf(recoverInto(database, folder, options))
    const change = async (name: string, edit: (bytes: Buffer) => Buffer, wanted: RegExp) => {
      const path = join(folder, id, name)
      const before = readFileSync(path)
      writeFileSync(path, edit(before))
      expect(await refused()).toMatch(wanted)
      writeFileSync(path, before)
    }
    const leaves = filesOf(join(folder, id)).find((name) => name.includes('leaves-')) ?? ''
    const flip = (bytes: Buffer): Buffer => {
      const copy = Buffer.from(bytes)
      copy[100] = (copy[100] ?? 0) ^ 1
      return copy
    }
    await change(
      leaves,
      flip,
      new RegExp(`^ARCHIVE_DAMAGED: .*${leaves.split('/').at(-1)} has another SHA-256`),
    )
    await change(leaves, (bytes) => bytes.subarray(0, 200), /^ARCHIVE_DAMAGED: .* has 200 bytes/)
    const replaced = (from: string | RegExp, to: string) => (bytes: Buffer) =>
      Buffer.from(bytes.toString('utf8').replace(from, to))
    await change('manifest.json', flip, /^ARCHIVE_DAMAGED: .*manifest.json is not good/)
    await change(
      'manifest.json',
      replaced(/"rootHash":"[0-9a-f]{64}"/, `"rootHash":"${'0'.repeat(64)}"`),
      /^ARCHIVE_DAMAGED: .*has a proof that does not lead from the leaves/,
    )
    await change(
      'manifest.json',
      replaced(/"id":"[0-9a-f]{8}/, '"id":"00000000'),
      /^ARCHIVE_DAMAGED: .*is of the archive/,
    )

    const stranger = testKey('example.com/ingest', 2)
    expect(await refused({ keys: [stranger.verifierKey] })).toMatch(
      /^NOTE_REFUSED: .*manifest.json names the key/,
    )
    const [note] = notes
    const forged = { name: 'forged.note', text: note?.text.replace('\n301\n', '\n300\n') ?? '' }
    expect(await refused({ notes: [forged] })).toMatch(/^NOTE_REFUSED: forged.note: the signature/)
    expect(await codeOf(recoverInto(database, makeFolder()))).toMatch(/^ARCHIVE_NOT_FOUND/)
    expect(
      await withClient(
        database.adminUrl,
        async (client) => (await client.query('select from events')).rowCount,
      ),
    ).toBe(0)
    expect(await recoverInto(database, folder, { notes })).toMatchObject({ logs: [{ provenTo: '301' }] })
  })

  it('rows that were changed are not archived', async () => {
    const open = await openLog(platform.store)
    await appendTo(platform.store, open, trueEvents(0n, 300n), 300n)
    await withClient(platform.database.adminUrl, (client) =>
      withoutGuards(client, () =>
        client.query(`update events set value = value || ' ' where log_id = $1 and "offset" = 7`, [
          open.log.logId,
        ]),
      ),
    )
    const { topic } = open.log.identity
    expect(await codeOf(archive(makeFolder(), { topic }))).toMatch(/^LOG_DAMAGED: The row at offset 7/)
    await withClient(platform.database.adminUrl, (client) =>
      withoutGuards(client, () =>
        client.query(`delete from events where log_id = $1 and "offset" = 7`, [open.log.logId]),
      ),
    )
    expect(await codeOf(archive(makeFolder(), { topic }))).toMatch(/^LOG_DAMAGED: Leaf 7 is not in the log/)
  })
})

describe('notes of checkpoints that no archive has', () => {
  it('become checkpoints again when the log has arrived at their roots, and not before', {
    timeout: 60_000,
  }, async () => {
    const open = await openLog(platform.store)
    await appendTo(platform.store, open, trueEvents(0n, 300n), 300n)
    const { topic } = open.log.identity
    const folder = makeFolder()
    const notes = [...(await checkpoint(topic))]
    await archive(folder, { topic })
    await appendTo(platform.store, open, trueEvents(300n, 600n), 600n)
    notes.push(...(await checkpoint(topic)))
    const database = await emptyDatabase()
    await recoverInto(database, folder, { notes })
    const connections = createDatabase({ url: database.appUrl })
    try {
      const store = createStore(connections)
      const adopt = (held = notes) =>
        adoptNotes(
          { ...store, logs: store.queries },
          { notes: held, keys: [key.verifierKey], say: () => undefined, signal },
        )
      expect(await adopt()).toMatchObject({
        complete: false,
        logs: [{ leaves: '300', provenTo: '300', adopted: 0, present: 1, waiting: ['600'] }],
      })
      const [log] = await store.reader.logsOf(topic)
      if (log === undefined) throw new Error('no log')
      await appendTo(store, { log, position: log.position }, trueEvents(300n, 600n), 600n)
      expect(await adopt()).toMatchObject({ complete: true, logs: [{ provenTo: '600', adopted: 1 }] })
      expect(await adopt()).toMatchObject({ complete: true, logs: [{ adopted: 0, present: 2 }] })
      // It proves what it proved before.
      const latest = await store.checkpoints.latestCheckpoint({ topic })
      expect(latest).toMatchObject({ createdBy: 'recovery', positions: [{ offset: 600n, size: 600n }] })
      const evidence = createEvidenceOperations({ ...store, instanceName: 'example.com/ingest' })
      const [event] = await store.queries.findEventsById(idAt(555n), {})
      if (event === undefined) throw new Error('no event')
      expect(await evidence.eventProof(event)).toContain(notes[1]?.text)
      const foreign = notes.map((note) => ({ ...note, text: note.text.replaceAll(topic, `${topic}x`) }))
      expect(await codeOf(adopt(foreign))).toMatch(/^NOTE_REFUSED/)
    } finally {
      await connections.close()
    }
  })

  it('contradict a log that is another one', { timeout: 60_000 }, async () => {
    const open = await openLog(platform.store)
    await appendTo(platform.store, open, trueEvents(0n, 300n), 300n)
    const { topic, topicId } = open.log.identity
    const folder = makeFolder()
    await archive(folder, { topic })
    await appendTo(platform.store, open, trueEvents(300n, 310n), 310n)
    const notes = await checkpoint(topic)
    const database = await emptyDatabase()
    await recoverInto(database, folder)
    const connections = createDatabase({ url: database.appUrl })
    try {
      const store = createStore(connections)
      const [log] = await store.reader.logsOf(topic)
      if (log === undefined) throw new Error('no log')
      expect(log.identity.topicId).toBe(topicId)
      await appendTo(store, { log, position: log.position }, trueEvents(301n, 311n), 311n)
      const adopting = adoptNotes(
        { ...store, logs: store.queries },
        { notes, keys: [key.verifierKey], say: () => undefined, signal },
      )
      expect(await codeOf(adopting)).toMatch(/^ROOT_MISMATCH: 310.note says of .* another root at 310 leaves/)
    } finally {
      await connections.close()
    }
  })
})

describe('requests', () => {
  it.each([
    [{}, 'topic'],
    [{ topic: 'a', from: '2026-02-30' }, 'from'],
    [{ topic: 'a', from: '2026-02-02', to: '2026-02-01' }, 'to'],
    [{ topic: 'a', fromLeaf: '5' }, 'partition'],
    [{ topic: 'a', partition: 0, fromLeaf: '5', toLeaf: '5' }, 'toLeaf'],
    [{ topic: 'a', partition: 0, fromLeaf: '5', from: '2026-02-01' }, 'fromLeaf'],
    [{ topic: 'a', place: '/etc' }, 'place'],
  ])('%j names %s', (input, path) => {
    const parsed = parseArchiveRequest(input)
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.path)).toContain(path)
  })

  it('an archive needs a place, and an id is one request', async () => {
    const open = await openLog(platform.store)
    await appendTo(platform.store, open, trueEvents(0n, 3n), 3n)
    const request = { topic: open.log.identity.topic }
    const input = { archiveId: randomUUID(), workflowId: 'a', request, requestedBy: 'test' }
    expect(await codeOf(planArchive(depsFor(null), input))).toMatch(/^ARCHIVE_PLACE_MISSING/)
    const deps = depsFor(createFolderArchives(makeFolder()))
    await planArchive(deps, input)
    expect(await codeOf(planArchive(deps, { ...input, workflowId: 'b' }))).toMatch(/^BAD_REQUEST: workflowId/)
    const gone = depsFor(createFolderArchives('/nowhere/at/all'))
    const archiveId = randomUUID()
    await planArchive(gone, { ...input, archiveId })
    const slice = archiveSlice(gone, scopeOf(), { archiveId, logId: open.log.logId })
    expect(await codeOf(slice)).toMatch(/^PLACE_UNAVAILABLE: writing to the folder .* failed \(ENOENT\)/)
  })
})
