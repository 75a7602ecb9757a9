import { expect, it } from 'vitest'
import { formatManifest, type ManifestLog, parseManifest } from '../../../src/domain/archive/manifest.ts'
import { canonicalize } from '../../../src/domain/canonicalJson.ts'
import { manifestLog, manifestOf } from './manifests.ts'

const log = manifestLog({ toLeaf: 40n, toOffset: 47n })
const [file] = log.files
if (file === undefined) throw new Error('no file')
const half = { ...file, lines: 20 }
const halves = [
  { ...half, toLeaf: '20', toOffset: '22' },
  { ...half, fromLeaf: '20', fromOffset: '22' },
]
const read = (value: unknown) => parseManifest(`${canonicalize(value)}\n`)
const withLog = (changes: Partial<ManifestLog>) => ({ ...manifestOf([{ ...log, ...changes }]) })

it('is read as it is written', () => {
  const manifest = manifestOf([log])
  expect(parseManifest(formatManifest(manifest))).toEqual({ ok: true, value: manifest })
  expect(read(withLog({ files: halves }))).toMatchObject({ ok: true })
})

it.each<[string, Partial<ManifestLog>]>([
  ['an end behind its last file', { toOffset: '48' }],
  ['an end before its last file', { toOffset: '46' }],
  ['a beginning before its first file', { fromOffset: '0', files: [{ ...file, fromOffset: '1' }] }],
  ['a hole between files', { files: [halves[0] ?? file, { ...half, fromLeaf: '20', fromOffset: '23' }] }],
  ['a file with fewer offsets than leaves', { toOffset: '39', files: [{ ...file, toOffset: '39' }] }],
  ['an end, and no leaf', { toLeaf: '0', files: [] }],
])('says nothing of offsets that its files do not: %s', (_, changes) => {
  expect(read(withLog(changes))).toMatchObject({
    ok: false,
    detail: expect.stringContaining('follow each other'),
  })
})
