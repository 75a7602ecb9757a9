/** A place that goes away while it is read is no damaged archive. */
import { cpSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { openArchive, reopenArchive } from '../../src/archive/readArchive.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import type { ArchivePlace } from '../../src/ports.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { type TestDatabase, withClient } from '../support/database.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { codeOf, recoverInto, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('gone')
const signal = new AbortController().signal
let source: { readonly folder: string; readonly id: string }
let empty: TestDatabase

beforeAll(async () => {
  const open = await openLog(platform.store)
  await appendTo(platform.store, open, trueEvents(0n, 20n), 20n)
  await checkpoint(open.log.identity.topic)
  const folder = makeFolder()
  const { id } = await archive(folder, { topic: open.log.identity.topic })
  source = { folder, id }
  empty = await emptyDatabase()
})

function copy(): string {
  const folder = makeFolder()
  cpSync(join(source.folder, source.id), join(folder, source.id), { recursive: true })
  return folder
}

/** Something happens to the folder when the manifest was read, before the first file of leaves is. */
function placeThat(folder: string, happens: (folder: string, name: string) => void): ArchivePlace {
  const place = createFolderArchives(folder)
  let has = false
  return {
    ...place,
    async get(name, maxBytes, until) {
      if (name.includes('/leaves-') && !has) {
        has = true
        happens(folder, name)
      }
      return await place.get(name, maxBytes, until)
    },
  }
}

const goesAway = (folder: string): void => renameSync(folder, `${folder}.away`)
/** What is left is the folder that it was mounted on. */
const isUnmounted = (folder: string): void => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
}
const losesTheFile = (folder: string, name: string): void => rmSync(join(folder, name))

it.each([
  ['the folder is gone', goesAway, /^PLACE_UNAVAILABLE: .* is missing at \S+, and so is all of its archive/],
  ['nothing is mounted there any more', isUnmounted, /^PLACE_UNAVAILABLE: .* and so is all of its archive/],
  ['one file is gone', losesTheFile, /^ARCHIVE_DAMAGED: \S+\/leaves-\S+ is missing$/],
])('%s', async (_name, happens, wanted) => {
  const folder = copy()
  const places = [placeThat(folder, happens)]
  expect(await codeOf(recoverInto(empty, folder, { places }))).toMatch(wanted)
  rmSync(`${folder}.away`, { recursive: true, force: true })
  const { rowCount } = await withClient(empty.adminUrl, (client) =>
    client.query('select from partition_logs'),
  )
  expect(rowCount).toBe(0)
})

it('an archive behind a link is one, and a link that leads nowhere is named', async () => {
  const folder = makeFolder()
  symlinkSync(join(source.folder, source.id), join(folder, source.id))
  symlinkSync(join(source.folder, source.id, 'manifest.json'), join(folder, 'a-file'))
  const nowhere = '00000000-0000-4000-8000-000000000000'
  symlinkSync(join(folder, 'nowhere'), join(folder, nowhere))
  expect(await createFolderArchives(folder).folders(signal)).toEqual([nowhere, source.id].sort())
  const { archives, unfinished } = await recoverInto(await emptyDatabase(), folder)
  expect([archives.map(({ id }) => id), unfinished]).toEqual([[source.id], [nowhere]])
})

it('where another place has a copy, that one is read', async () => {
  const folder = copy()
  const places = [placeThat(folder, isUnmounted), createFolderArchives(copy())]
  const report = await recoverInto(await emptyDatabase(), folder, { places })
  expect(report).toMatchObject({ logs: [{ leaves: '20' }] })
  // Leaves and checkpoints.
  const wanted = expect.stringMatching(/ is missing at .*: read in another place$/)
  expect(report.remarks).toEqual([wanted, wanted])
})

it('a manifest that is looked at again is damaged only where the rest of its archive is there', async () => {
  const folder = copy()
  const reader = { place: createFolderArchives(folder), signal }
  const opened = await openArchive(reader, source.id)
  if (opened === null) throw new Error('no archive')
  const again = () => codeOf(reopenArchive(reader, source.id, opened.manifestHash))
  expect(await again()).toBe('done')
  rmSync(join(folder, source.id, 'manifest.json'))
  expect(await again()).toMatch(/^ARCHIVE_DAMAGED: \S+\/manifest.json is missing$/)
  isUnmounted(folder)
  expect(await again()).toMatch(/^PLACE_UNAVAILABLE: /)
  goesAway(folder)
  expect(await again()).toMatch(/^PLACE_UNAVAILABLE: /)
  rmSync(`${folder}.away`, { recursive: true })
})
