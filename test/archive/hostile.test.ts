/** Archives made by one who wants to hurt the reader: each is refused by name, within the memory that a good one takes. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getLines } from '../../src/archive/files.ts'
import { claimsOfPart, openArchive, startOfPart, verifyNextFile } from '../../src/archive/readArchive.ts'
import { type Manifest, type ManifestFile, parseManifest } from '../../src/domain/archive/manifest.ts'
import { readRecordLine } from '../../src/domain/archive/recordLines.ts'
import { canonicalize } from '../../src/domain/canonicalJson.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { manifestLog, manifestOf } from '../domain/archive/manifests.ts'

const signal = new AbortController().signal
const MIB = 1024 * 1024
const manifest: Manifest = manifestOf([manifestLog({ toLeaf: 10n, toOffset: 10n })])
const { id } = manifest
const [log] = manifest.logs
if (log === undefined) throw new Error('no log')

let folder: string
let reader: Parameters<typeof verifyNextFile>[0]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'test-hostile-'))
  mkdirSync(join(folder, id))
  // Without it no file would be missing, but the whole archive.
  writeFileSync(join(folder, id, 'manifest.json'), '')
  reader = { place: createFolderArchives(folder), codec: zstdCodec, signal }
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A file that is what the manifest says of it, but for what `says` changes. */
function put(content: Buffer, says: Partial<ManifestFile> = {}): ManifestFile {
  const packed = zstdCompressSync(content)
  writeFileSync(join(folder, id, 'file.zst'), packed)
  return {
    ...{ name: 'file.zst', bytes: packed.length, sha256: hashToHex(sha256(packed)) },
    ...{ unpackedBytes: content.length, lines: 10, ...says },
  }
}

const read = (file: ManifestFile) => getLines(reader.place, zstdCodec, id, file, signal)
const damage = (message: RegExp) => ({
  code: 'ARCHIVE_DAMAGED',
  message: expect.stringMatching(message),
})

/** What the work leaves behind and has in hand at its end, in MiB. */
async function grown(work: () => Promise<unknown>): Promise<{ heap: number; all: number }> {
  const before = process.memoryUsage()
  await work()
  const after = process.memoryUsage()
  return { heap: (after.heapUsed - before.heapUsed) / MIB, all: (after.rss - before.rss) / MIB }
}

describe('a file', () => {
  it('of nothing but newlines makes no millions of strings', async () => {
    const file = put(Buffer.alloc(64 * MIB, '\n'))
    const { heap } = await grown(() => expect(read(file)).rejects.toMatchObject(damage(/more than 10 lines/)))
    expect(heap).toBeLessThan(64)
  })

  it('that unpacks to more than it says is not unpacked', async () => {
    const file = put(Buffer.alloc(512 * MIB), { unpackedBytes: 1_000 })
    const { all } = await grown(() => expect(read(file)).rejects.toMatchObject(damage(/cannot be unpacked/)))
    expect(all).toBeLessThan(128)
  })

  it('that unpacks to less than it says takes no memory for the rest', async () => {
    const file = put(Buffer.from('a\n'), { unpackedBytes: 512 * MIB })
    const { all } = await grown(() => expect(read(file)).rejects.toMatchObject(damage(/cannot be unpacked/)))
    expect(all).toBeLessThan(128)
  })

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['no frame', Buffer.from('not zstandard at all')],
    ['half a frame', zstdCompressSync(Buffer.from('a\n'.repeat(1_000))).subarray(0, 15)],
    ['a window of two terabytes', Buffer.from('28b52ffd00f8030000', 'hex')],
    ['a million empty frames', Buffer.alloc(9_000_000, Buffer.from('28b52ffd2000010000', 'hex'))],
  ])('that is %s is not unpacked', async (_, packed) => {
    expect(await zstdCodec.unpack(packed, 2_000)).toBe(null)
  })

  it.each<[string, string, RegExp]>([
    ['too few lines', 'a\n'.repeat(9), /has 9 lines, not 10/],
    ['too many lines', 'a\n'.repeat(11), /more than 10 lines/],
    ['no end', `${'a\n'.repeat(9)}a`, /does not end with a newline/],
    ['nothing in it', '', /does not end with a newline/],
  ])('with %s is damage', async (_, text, message) => {
    await expect(read(put(Buffer.from(text)))).rejects.toMatchObject(damage(message))
  })

  it('that grew, or is no file, is damage and nothing to wait for', async () => {
    const file = put(Buffer.from('a\n'.repeat(10)))
    expect(await read(file)).toEqual(Array(10).fill('a'))
    truncateSync(join(folder, id, 'file.zst'), 2 ** 40)
    await expect(read(file)).rejects.toMatchObject(damage(/has more than \d+ bytes/))
    rmSync(join(folder, id, 'file.zst'))
    execFileSync('mkfifo', [join(folder, id, 'file.zst')])
    const found = await read(file).catch((error: unknown) => error)
    // Left there, whoever writes the next file would wait for a reader.
    rmSync(join(folder, id, 'file.zst'))
    expect(found).toMatchObject(damage(/is missing/))
  })
})

describe('a manifest', () => {
  const claiming = (changes: Partial<ManifestFile>) => ({
    ...manifest,
    logs: [{ ...log, files: log.files.map((file) => ({ ...file, ...changes })) }],
  })
  it.each<[string, Partial<ManifestFile>]>([
    ['lines', { lines: 65_537 }],
    ['unpacked bytes', { unpackedBytes: 512 * MIB + 1 }],
    ['bytes', { bytes: 512 * MIB + 1 }],
  ])('that claims more %s than any file has is none', (_, changes) => {
    expect(parseManifest(`${canonicalize(claiming(changes))}\n`)).toMatchObject({
      ...{ ok: false, detail: expect.stringMatching(/logs\.0\.files\.0\..*[Tt]oo big/) },
    })
  })

  const withRequest = (request: string): string =>
    `${canonicalize(manifest)}\n`.replace('"request":{}', () => `"request":${request}`)
  it.each<[string, string, RegExp]>([
    ['nested without end', '['.repeat(1_000_000) + ']'.repeat(1_000_000), /not canonical/],
    ['nested deeply', '['.repeat(900) + ']'.repeat(900), /not canonical/],
    ['of millions of empty lists', `[${'[],'.repeat(5_000_000)}[]]`, /holds more than an archive has/],
    ['with half a character', '"\\ud800"', /not canonical/],
  ])('%s is none', (_, request, message) => {
    expect(parseManifest(withRequest(request))).toMatchObject({
      ...{ ok: false, detail: expect.stringMatching(message) },
    })
  })

  it('larger than any is damage, and nothing to wait for', async () => {
    writeFileSync(join(folder, id, 'manifest.json'), '')
    truncateSync(join(folder, id, 'manifest.json'), 2 ** 40)
    await expect(openArchive(reader, id)).rejects.toMatchObject(damage(/manifest\.json has more than/))
  })
})

describe('a line', () => {
  const zeros = '0'.repeat(64)
  const record = (changes: object): string =>
    JSON.stringify({
      ...{ format: 'streaming-ingest/record@v1', from: '1', kind: 'gap', leaf: zeros, leafIndex: '0' },
      ...{ origin: 'o', to: '2', ...changes },
    })
  const lines: [string, string][] = [
    ['nested without end', '['.repeat(1_000_000)],
    ['nested to the end', '['.repeat(5_000) + ']'.repeat(5_000)],
    ['of millions of values', `[${'{},'.repeat(3_000_000)}{}]`],
    ['with half a character', record({ origin: '\ud800' })],
    ['of a gap without offsets', record({ to: '1' })],
    ['of a gap with a detail that is none', record({ deadLetter: { code: 'SCHEMA', detail: '\udfff' } })],
    ['of a number that is none', record({ from: '1e999', to: 'x' })],
  ]
  it.each(lines)('%s is no record', (_, line) => {
    expect(readRecordLine(line)).toMatchObject({ ok: false })
  })

  it.each(lines)('%s is damage of its file, of leaves and of checkpoints', async (_, line) => {
    const file = put(Buffer.from(`${line}\n`), { lines: 1 })
    const range = { fromLeaf: '0', toLeaf: '1', fromOffset: '0', toOffset: '1' }
    const part = { ...log, ...range, files: [{ ...file, ...range }], checkpoints: [file] }
    const work = verifyNextFile(reader, manifest, part, startOfPart(part), [])
    await expect(work).rejects.toMatchObject(damage(/file\.zst has a bad line/))
    await expect(claimsOfPart(reader, id, part, [])).rejects.toMatchObject(damage(/file\.zst has a bad line/))
  })

  it('with half a character is no checkpoint', async () => {
    const position = { note: null, offset: '1', rootHash: zeros, size: '1' }
    const line = `{"createdAt":1,"createdBy":"\\ud800","format":"streaming-ingest/checkpoint@v1","id":"${id}","offset":null,"partition":null,"position":${canonicalize(position)},"topic":"t"}`
    const part = { ...log, checkpoints: [put(Buffer.from(`${line}\n`), { lines: 1 })] }
    await expect(claimsOfPart(reader, id, part, [])).rejects.toMatchObject(damage(/not canonical/))
  })
})
