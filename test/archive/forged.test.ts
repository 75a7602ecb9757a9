/** What no leaf covers, changed in an archive by one who may write to its place: found, or counted as the archive's word. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import type { SourceView } from '../../src/archive/missing.ts'
import { openArchive } from '../../src/archive/readArchive.ts'
import { verifyArchive } from '../../src/archive/verifyWhole.ts'
import { formatRecovery } from '../../src/cli/archive/present.ts'
import type { ManifestLog } from '../../src/domain/archive/manifest.ts'
import { offset } from '../../src/domain/model.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import type { TopicConfig } from '../../src/ports.ts'
import { openRecovery } from '../../src/store/archive/recovery.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { type TestDatabase, withClient } from '../support/database.ts'
import { eventValue, trueEntry, trueEvents } from '../verification/trueLog.ts'
import { codeOf, forgeLines, forgeManifest, key, recoverInto, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('forged')
const signal = new AbortController().signal

let source: { readonly folder: string; readonly id: string; readonly topic: string }
let empty: TestDatabase

/** 20 leaves, the last one no JSON and the one before it a repeated id; checkpoints over 10 and over all. */
beforeAll(async () => {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  await appendTo(platform.store, open, trueEvents(0n, 10n), 10n)
  await checkpoint(topic)
  const bad = [
    trueEntry({ offset: 18n, value: eventValue(3n) }),
    trueEntry({ offset: 19n, value: Buffer.from('not json') }),
  ]
  await appendTo(platform.store, open, [...trueEvents(10n, 18n), ...bad], 20n)
  await checkpoint(topic)
  const folder = makeFolder()
  const { id } = await archive(folder, { topic })
  source = { folder, id, topic }
  empty = await emptyDatabase()
})

type Edit = Parameters<typeof forgeLines>[3]

function copyOf(kind: 'files' | 'checkpoints', edit: Edit): string {
  const folder = makeFolder()
  cpSync(join(source.folder, source.id), join(folder, source.id), { recursive: true })
  forgeLines(folder, source.id, kind, edit)
  return folder
}

async function verified(folder: string): Promise<string> {
  const reader = { place: createFolderArchives(folder), codec: zstdCodec, signal }
  const opened = await openArchive(reader, source.id)
  if (opened === null) throw new Error('no archive')
  return await codeOf(verifyArchive(reader, opened, [key.verifierKey], () => undefined))
}

const ofLeaf =
  (leaf: number, change: object): Edit =>
  (line) =>
    line['leafIndex'] === String(leaf) ? { ...line, ...change } : null
const ofSize =
  (size: number, change: object): Edit =>
  (line) => {
    const position = line['position'] as { readonly size: string }
    return position.size === String(size) ? { ...line, position: { ...position, ...change } } : null
  }
const dead = (code: string) => ({ deadLetter: { code, detail: '' } })

it.each<[string, Edit]>([
  ['an event as a dead letter of its bytes', ofLeaf(4, dead('INVALID_JSON'))],
  ['an event under a code that is none', ofLeaf(4, dead('HIDDEN'))],
  ['another code of the same bytes', ofLeaf(19, dead('SCHEMA'))],
  ['a code of bytes that are good', ofLeaf(19, dead('SIGNATURE'))],
  ['a batch, and it is a record', ofLeaf(19, dead('UNDECODABLE_BATCH'))],
])('a code that the bytes contradict is damage: %s', async (_, edit) => {
  expect(await codeOf(recoverInto(empty, copyOf('files', edit)))).toMatch(
    /^ARCHIVE_DAMAGED: .* calls leaf \d+ a dead letter [A-Z_]+, and its bytes say otherwise/,
  )
})

it('a code that the bytes cannot prove is counted', async () => {
  const hidden = copyOf('files', ofLeaf(4, dead('SIGNATURE')))
  expect(await recoverInto(await emptyDatabase(), hidden)).toMatchObject({
    // The repeated id is borne out.
    logs: [{ deadLetters: '3', codesByWord: '1', signedTo: '20' }],
  })
})

it.each<[string, Edit, RegExp]>([
  ['before the one before it', ofLeaf(4, { ingestedAt: 1 }), /leaf 4: it was ingested before/],
  [
    'after the archive was made',
    ofLeaf(19, { ingestedAt: Date.now() + 86_400_000 }),
    /leaf 19: .* after the archive/,
  ],
  ['at no time that there is', ofLeaf(19, { ingestedAt: 9e15 }), /leaf 19: .* after the archive/],
])('a leaf that was ingested %s is damage', async (_, edit, wanted) => {
  const folder = copyOf('files', edit)
  expect(await verified(folder)).toMatch(wanted)
  expect(await codeOf(recoverInto(empty, folder))).toMatch(wanted)
})

it.each<[string, Edit, RegExp]>([
  [
    'another root',
    ofSize(10, { rootHash: 'ab'.repeat(32), note: null }),
    /^ROOT_MISMATCH: the archived checkpoint/,
  ],
  ['another root at the end', ofSize(20, { rootHash: 'ab'.repeat(32), note: null }), /^ROOT_MISMATCH: /],
  ['a root that its note does not have', ofSize(10, { rootHash: 'ab'.repeat(32) }), /^NOTE_REFUSED: /],
  [
    'an offset behind the next leaf',
    ofSize(10, { offset: '11' }),
    /^ARCHIVE_DAMAGED: .*10 leaves lie below offset 11/,
  ],
  [
    'an offset before its last leaf',
    ofSize(20, { offset: '19' }),
    /^ARCHIVE_DAMAGED: .*20 leaves lie below offset 19/,
  ],
])('a checkpoint with %s is neither verified nor recovered', async (_, edit, wanted) => {
  const folder = copyOf('checkpoints', edit)
  expect(await verified(folder)).toMatch(wanted)
  expect(await codeOf(recoverInto(empty, folder))).toMatch(wanted)
})

it('leaves that no signature covers are not whole, even where nothing is missing', async () => {
  const whole = async (folder: string) => {
    const { manifest } = (await openArchive({ place: createFolderArchives(folder), signal }, source.id)) ?? {}
    const topicId = manifest?.logs[0]?.topicId ?? ''
    const kafka: SourceView = {
      describe: async (topic) => ({ topic, topicId, partitions: [] }),
      bounds: async () => ({ start: offset(0n), end: offset(20n) }),
      config: async () => ({ cleanupPolicy: 'delete' }) as TopicConfig,
    }
    const report = await recoverInto(await emptyDatabase(), folder, { source: kafka })
    return { lines: formatRecovery(report).join('\n'), complete: report.complete }
  }
  expect(await whole(source.folder)).toMatchObject({ complete: true })
  const unsigned = copyOf('checkpoints', ofSize(20, { note: null }))
  forgeManifest(unsigned, source.id, (log) => ({ ...log, note: null, consistency: [] }))
  expect(await whole(unsigned)).toMatchObject({
    ...{ complete: false, lines: expect.stringContaining('leaves 10 to 20: no signed note covers them') },
  })
})

/** As a forger would write it, who wants ingest to pass over what comes there. */
const endingAt =
  (toOffset: string) =>
  (log: ManifestLog): ManifestLog => ({
    ...{ ...log, toOffset },
    files: log.files.map((file, index) => (index === log.files.length - 1 ? { ...file, toOffset } : file)),
  })

it('an end behind the last leaf is the word of the archive, and no word against the next archive', async () => {
  const forged = makeFolder()
  cpSync(join(source.folder, source.id), join(forged, source.id), { recursive: true })
  forgeManifest(forged, source.id, endingAt('25'))
  const report = await recoverInto(await emptyDatabase(), forged)
  expect(report).toMatchObject({ complete: false, logs: [{ nextOffset: '25', unprovenOffsets: '5' }] })
  expect(formatRecovery(report).join('\n')).toContain('offset 25 is 5 behind the last leaf')

  const halves = makeFolder()
  const { topic } = source
  const first = await archive(halves, { topic, partition: 0, toLeaf: '10' })
  await archive(halves, { topic, partition: 0, fromLeaf: '10' })
  forgeManifest(halves, first.id, endingAt('13'))
  expect(await codeOf(recoverInto(empty, halves))).toMatch(
    /^ARCHIVE_DAMAGED: .* begins leaf 10 at offset 10; those before it end at 13/,
  )
})

it('a database that came into use meanwhile is left alone', async () => {
  const database = await emptyDatabase()
  const store = await openRecovery(database.adminUrl, new AbortController().signal)
  try {
    expect(await store.tablesInUse()).toEqual([])
    await withClient(database.adminUrl, (client) =>
      client.query(
        `insert into legal_holds (scope, subject, held, reason, created_by) values ('topic', 'a', true, 'b', 'c')`,
      ),
    )
    const work = store.inTransaction(async () => 'written')
    expect(await codeOf(work)).toMatch(/^DATABASE_NOT_EMPTY: .*legal_holds/)
  } finally {
    await store.close()
  }
})
