/** Slices of one archive share its manifest, and get no other. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createReopening } from '../../src/archive/readArchive.ts'
import { formatManifest } from '../../src/domain/archive/manifest.ts'
import { sha256 } from '../../src/domain/hash.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { manifestLog, manifestOf } from '../domain/archive/manifests.ts'

const manifest = manifestOf([manifestLog({ toLeaf: 10n, toOffset: 10n })])
const { id } = manifest
const text = formatManifest(manifest)
const hash = sha256(Buffer.from(text))
const signal = new AbortController().signal
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'test-reopening-'))
  for (const place of ['one', 'other']) {
    mkdirSync(join(folder, place, id), { recursive: true })
    writeFileSync(join(folder, place, id, 'manifest.json'), text)
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

it('while one has it in hand, and only that of the same place and hash', async () => {
  const reopen = createReopening()
  const [one, other] = ['one', 'other'].map((name) => ({
    ...{ place: createFolderArchives(join(folder, name)), signal },
  }))
  if (one === undefined || other === undefined) throw new Error('no place')
  const first = await reopen(one, id, hash)
  expect(first).toEqual({ manifest, manifestHash: hash })
  const second = await reopen(one, id, hash)
  expect(second.manifest).toBe(first.manifest)
  expect(second.manifestHash).toBe(hash)
  expect((await reopen(other, id, hash)).manifest).not.toBe(first.manifest)
  await expect(reopen(other, id, sha256(Buffer.from('another')))).rejects.toMatchObject({
    code: 'ARCHIVE_DAMAGED',
  })
  // Who has nothing in hand reads it from the place.
  writeFileSync(join(folder, 'other', id, 'manifest.json'), 'garbage')
  await expect(createReopening()(other, id, hash)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
})
