/** `archive verify` over a place that holds more than good archives: each is looked at for itself, and said of. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, it } from 'vitest'
import { verifyPlace } from '../../src/archive/verifyPlace.ts'
import type { PlaceVerification } from '../../src/domain/archive/placeVerification.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { forgeManifest, key, useArchives } from './fixture.ts'

const { platform, makeFolder, archive } = useArchives('verify-place')
const signal = new AbortController().signal

let folder: string
const ids: string[] = []
beforeAll(async () => {
  const open = await openLog(platform.store)
  await appendTo(platform.store, open, trueEvents(0n, 10n), 10n)
  folder = makeFolder()
  for (let made = 0; made < 3; made++)
    ids.push((await archive(folder, { topic: open.log.identity.topic })).id)
  ids.sort()
})

function copy(): string {
  const other = makeFolder()
  cpSync(folder, other, { recursive: true })
  return other
}

const verify = (path: string, id: string | null = null, until = signal) =>
  verifyPlace(
    { place: createFolderArchives(path), codec: zstdCodec, signal: until },
    id,
    [key.verifierKey],
    () => undefined,
  )

/** As `pnpm archive` starts it. */
const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))
const command = (...args: readonly string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      [entry, 'verify', ...args],
      { env: {}, cwd: tmpdir() },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      },
    )
  })

it('passes over what no UUID names, and says so', async () => {
  const place = copy()
  const strangers = ['notes', ids[0]?.toUpperCase() ?? '', 'lost+found'].sort()
  for (const name of strangers) mkdirSync(join(place, name))
  writeFileSync(join(place, 'notes', 'manifest.json'), 'not ours')
  writeFileSync(join(place, randomUUID()), 'a file')
  const report = await verify(place)
  expect(report.archives.map(({ id }) => id)).toEqual(ids)
  expect(report).toMatchObject({ failed: [], unfinished: [], passedOver: strangers })
})

it('verifies the others beside one that is bad, unreadable or never finished', {
  timeout: 30_000,
}, async () => {
  const place = copy()
  const [first = '', second = '', third = ''] = ids
  const [endless, unfinished] = [randomUUID(), randomUUID()]
  writeFileSync(join(place, first, 'manifest.json'), 'garbage')
  forgeManifest(place, second, (log) => ({ ...log, rootHash: 'ab'.repeat(32) }))
  mkdirSync(join(place, endless))
  symlinkSync('manifest.json', join(place, endless, 'manifest.json'))
  mkdirSync(join(place, unfinished))
  const report = await verify(place)
  expect(report.archives.map(({ id }) => id)).toEqual([third])
  expect(report.unfinished).toEqual([unfinished])
  expect(new Map(report.failed.map(({ id, code }) => [id, code]))).toEqual(
    new Map([
      [first, 'ARCHIVE_DAMAGED'],
      [second, 'ARCHIVE_DAMAGED'],
      [endless, 'PLACE_UNAVAILABLE'],
    ]),
  )
  mkdirSync(join(place, 'notes'))
  const said = await command(place, '--key', key.verifierKey.text)
  expect(said).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^3 of 4 archives are bad: [A-Z_]+: /),
  })
  for (const line of [
    new RegExp(`^${third}: verified, 1 logs$`, 'm'),
    new RegExp(`^${first}: BAD: ARCHIVE_DAMAGED: ${first}/manifest.json is not good`, 'm'),
    new RegExp(`^${unfinished} has no manifest: it was never finished, or somebody took it away`, 'm'),
    /^1 folder is no archive: passed over/m,
  ])
    expect(said.stdout).toMatch(line)
  const verbose = await command(place, '--key', key.verifierKey.text, '-v')
  expect(verbose.stdout).toContain('notes is no archive: passed over')
  const { code, stdout } = await command(place, '--key', key.verifierKey.text, '--json')
  const json = JSON.parse(stdout) as PlaceVerification
  expect([code, json.failed.length, json.archives.length, json.passedOver]).toEqual([1, 3, 1, ['notes']])
})

it('says of one archive alone whether it is good', async () => {
  const place = copy()
  const [first = '', second = ''] = ids
  writeFileSync(join(place, first, 'manifest.json'), 'garbage')
  expect(await verify(place, second)).toMatchObject({ archives: [{ id: second }], failed: [] })
  expect(await verify(place, first)).toMatchObject({ archives: [], failed: [{ id: first }] })
  const good = await command(place, '--archive', second, '--key', key.verifierKey.text)
  expect(good).toMatchObject({ code: 0, stdout: expect.stringContaining(`${second}: verified`) })
  expect(await command(place, '--archive', `../${first}`)).toMatchObject({
    ...{ code: 2, stderr: expect.stringContaining('--archive: must be the UUID') },
  })
  await expect(verify(place, randomUUID())).rejects.toMatchObject({ code: 'ARCHIVE_NOT_FOUND' })
  await expect(verify(makeFolder())).rejects.toMatchObject({ code: 'ARCHIVE_NOT_FOUND' })
})

it('ends when the place is away, and when it is told to', async () => {
  const place = copy()
  rmSync(place, { recursive: true })
  await expect(verify(place)).rejects.toMatchObject({ code: 'PLACE_UNAVAILABLE' })
  await expect(verify(folder, null, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
})
