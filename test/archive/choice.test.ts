/** Which archives a recovery goes by, where a place holds more than one history. */
import { randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { formatRecovery } from '../../src/cli/archive/present.ts'
import type { ManifestLog } from '../../src/domain/archive/manifest.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import type { TestDatabase } from '../support/database.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { codeOf, forgeLines, forgeManifest, recoverInto, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('choice')

let source: { readonly folder: string; readonly id: string; readonly topic: string }
let empty: TestDatabase

/** Archived at 10 leaves, and from there to 20; a checkpoint at each. */
beforeAll(async () => {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  const folder = makeFolder()
  await appendTo(platform.store, open, trueEvents(0n, 10n), 10n)
  await checkpoint(topic)
  const { id } = await archive(folder, { topic })
  await appendTo(platform.store, open, trueEvents(10n, 20n), 20n)
  await checkpoint(topic)
  await archive(folder, { topic, partition: 0, fromLeaf: '10' })
  source = { folder, id, topic }
  empty = await emptyDatabase()
})

const copyOfSource = (): string => {
  const folder = makeFolder()
  cpSync(source.folder, folder, { recursive: true })
  return folder
}

/** The first archive once more, as it would be of another log. */
function withAnother(change: (log: ManifestLog) => Partial<ManifestLog>): {
  readonly folder: string
  readonly id: string
} {
  const folder = copyOfSource()
  const id = randomUUID()
  cpSync(join(folder, source.id), join(folder, id), { recursive: true })
  forgeManifest(
    folder,
    id,
    (log) => {
      const parts = { ...log, ...change(log) }
      return { ...parts, origin: formatOrigin({ ...parts, startOffset: BigInt(parts.startOffset) }) }
    },
    { id },
  )
  return { folder, id }
}

it('a damaged archive keeps a recovery from beginning, until it is left out by its id', async () => {
  const folder = copyOfSource()
  const id = randomUUID()
  mkdirSync(join(folder, id))
  writeFileSync(join(folder, id, 'manifest.json'), '{}\n')
  expect(await codeOf(recoverInto(empty, folder))).toMatch(
    new RegExp(`^ARCHIVE_DAMAGED: ${id}/manifest.json .*; to go on without this archive: --except ${id}$`),
  )
  const strange = randomUUID()
  expect(await codeOf(recoverInto(empty, folder, { except: [id, strange] }))).toBe(
    `ARCHIVE_NOT_FOUND: There is no archive ${strange} to leave out`,
  )
  const report = await recoverInto(await emptyDatabase(), folder, { except: [id] })
  expect(report).toMatchObject({
    leftOut: [{ id, lacks: null }],
    logs: [{ leaves: '20' }],
    checkpoints: 2,
    complete: false,
  })
  expect(formatRecovery(report)).toContain(`  ${id} was left out, and what was in it, nobody can read`)
})

it('archives of two installations in one place are told apart by name', async () => {
  const { folder, id } = withAnother(() => ({ instance: 'example.com/other' }))
  expect(await codeOf(recoverInto(empty, folder))).toBe(
    'BAD_REQUEST: The archives are of several installations: example.com/ingest, example.com/other; choose one with --instance',
  )
  expect(await codeOf(recoverInto(empty, folder, { instance: 'example.com/third' }))).toMatch(
    /^ARCHIVE_NOT_FOUND: There is no finished archive of example.com\/third in /,
  )
  const report = await recoverInto(await emptyDatabase(), folder, { instance: 'example.com/ingest' })
  expect(report).toMatchObject({ leftOut: [{ id, lacks: [] }], logs: [{ leaves: '20' }] })
})

it('two logs of one incarnation are not mixed up: the operator chooses', async () => {
  const { folder, id } = withAnother(() => ({ topicId: randomUUID(), note: null, consistency: [] }))
  expect(await codeOf(recoverInto(empty, folder))).toMatch(
    new RegExp(
      `^BAD_REQUEST: the archives hold two logs of ${source.topic}/0, incarnation 1: .*${id}.*--except$`,
    ),
  )
  expect(await recoverInto(await emptyDatabase(), folder, { except: [id] })).toMatchObject({
    logs: [{ leaves: '20' }],
  })
})

it('two archives that say two things of one checkpoint are damage', async () => {
  const folder = copyOfSource()
  forgeLines(folder, source.id, 'checkpoints', (line) => ({ ...line, createdBy: 'somebody' }))
  expect(await codeOf(recoverInto(empty, folder))).toMatch(
    /^ARCHIVE_DAMAGED: .*says something else of checkpoint [0-9a-f-]{36} than others/,
  )
})
