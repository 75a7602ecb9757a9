/** Archives in a locked bucket, and somebody who may write there and puts something over them: what is locked is still found. */

import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyArchiveSlice } from '../../activities/archive/verifyArchive.ts'
import { findArchive } from '../../src/archive/findArchive.ts'
import { createHeldLeaves } from '../../src/archive/heldLeaves.ts'
import { recover } from '../../src/archive/recover.ts'
import { verifyArchive } from '../../src/archive/verifyWhole.ts'
import { formatRecovery } from '../../src/cli/archive/present.ts'
import type { Manifest } from '../../src/domain/archive/manifest.ts'
import { canonicalize } from '../../src/domain/canonicalJson.ts'
import { hashFromHex, hashToHex, sha256 } from '../../src/domain/hash.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { openArchivePlace } from '../../src/places/archives/open.ts'
import type { ArchivePlace } from '../../src/ports.ts'
import { openRecovery } from '../../src/store/archive/recovery.ts'
import { scopeOf } from '../activities/fixture.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { type S3Server, s3Missing, startS3Server } from '../support/s3.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { archiveWith, key, rowsOf, useArchives, verdictOf } from './fixture.ts'

/** As `pnpm archive` starts it. */
const entry = fileURLToPath(new URL('../../src/recovery/main.ts', import.meta.url))

const missing = s3Missing()
if (missing !== null) console.warn(`skipped: versions in a real bucket (${missing})`)

describe.skipIf(missing !== null)('an archive in a bucket', () => {
  const { platform, depsFor, checkpoint, emptyDatabase } = useArchives('versions')
  const servers: S3Server[] = []
  let server: S3Server
  let topic: string
  let logId: number
  const places: ArchivePlace[] = []
  const signal = new AbortController().signal
  beforeAll(async () => {
    server = await startS3Server()
    servers.push(server)
    const open = await openLog(platform.store)
    topic = open.log.identity.topic
    logId = open.log.logId
    await appendTo(platform.store, open, trueEvents(0n, 30n), 30n)
    await checkpoint(topic)
  }, 600_000)
  afterAll(async () => {
    for (const place of places) place.close()
    for (const each of servers) await each.close()
  })

  interface Kept {
    readonly bucket: string
    readonly server: S3Server
    readonly id: string
    readonly manifest: Manifest
    readonly bytes: Buffer
    /** The place as somebody sees it who comes later. */
    open(): ArchivePlace
    put(name: string, content: Buffer): Promise<void>
    remove(name: string): Promise<void>
  }

  async function makeArchive(on = server, objectLock = true): Promise<Kept> {
    const made = await on.makeBucket(`versions-${randomUUID()}`, { objectLock })
    const lock = objectLock ? ({ mode: 'compliance', days: 1 } as const) : null
    const config = { kind: 's3', place: { ...made, prefix: 'kept/', lock } } as const
    const open = (): ArchivePlace => {
      const place = openArchivePlace(config, on.credentials)
      places.push(place)
      return place
    }
    const id = randomUUID()
    await archiveWith(depsFor(open()), { topic }, id)
    const bytes = await open().get(`${id}/manifest.json`, 1_000_000, signal)
    if (bytes === null) throw new Error('no manifest')
    const named = (name: string) => ({ Bucket: made.bucket, Key: `kept/${id}/${name}` })
    return {
      ...{ bucket: made.bucket, server: on, id, bytes, open },
      manifest: JSON.parse(bytes.toString('utf8')) as Manifest,
      put: async (name, Body) => void (await on.client.send(new PutObjectCommand({ ...named(name), Body }))),
      remove: async (name) => void (await on.client.send(new DeleteObjectCommand(named(name)))),
    }
  }

  const nameOf = ({ manifest }: Kept, kind: 'files' | 'checkpoints'): string => {
    const file = manifest.logs[0]?.[kind][0]
    if (file === undefined) throw new Error('no file')
    return file.name
  }
  const altered = ({ manifest }: Kept, changes: Partial<Manifest>): Buffer =>
    Buffer.from(`${canonicalize({ ...manifest, ...changes })}\n`)
  const hexOf = (bytes: Buffer): string => hashToHex(sha256(bytes))

  /** As `archive verify` does: what it finds, and what it remarks. */
  async function verify({ open, id }: Kept, place = open()) {
    const reader = { place, codec: zstdCodec, signal }
    const keys = [key.verifierKey]
    const opened = await findArchive(reader, id, keys, () => undefined)
    if (opened === null) throw new Error('it was not found')
    const { manifestHash } = await verifyArchive(reader, opened, keys, () => undefined)
    return { manifestHash, remarks: place.remarks() }
  }

  async function recoverFrom(places: readonly ArchivePlace[]) {
    const database = await emptyDatabase()
    const store = await openRecovery(database.adminUrl, new AbortController().signal)
    try {
      const report = await recover({
        ...{ places, codec: zstdCodec, notes: [], keys: [key.verifierKey], source: null, store, verdictOf },
        ...{ except: [], instance: null },
        ...{ requestedBy: 'test', signal, say: () => undefined, now: Date.now },
      })
      return { report, rows: await rowsOf(database.adminUrl, topic) }
    } finally {
      await store.close()
    }
  }

  /** By the worker that made it. */
  const readBack = (kept: Kept) =>
    verifyArchiveSlice(depsFor(kept.open()), scopeOf(), {
      ...{ archiveId: kept.id, logId, manifestHash: hexOf(kept.bytes), position: null },
    })

  it('is not hidden by manifests that nobody signed, however many and whatever they say', {
    timeout: 60_000,
  }, async () => {
    const kept = await makeArchive()
    const unsigned = kept.manifest.logs.map((log) => ({ ...log, note: null, consistency: [] }))
    const manifestWith = (changes: Partial<Manifest>): Buffer =>
      Buffer.from(`${canonicalize({ ...kept.manifest, ...changes })}\n`)
    await kept.put('manifest.json', manifestWith({ createdAt: kept.manifest.createdAt + 1, logs: unsigned }))
    const good = { manifestHash: hexOf(kept.bytes), remarks: [expect.stringContaining('somebody hid it')] }
    expect(await verify(kept)).toEqual(good)
    const junk = unsigned.map((log) => ({ ...log, rootHash: '00'.repeat(32) }))
    for (let number = 0; number < 101; number++)
      await kept.put('manifest.json', manifestWith({ createdAt: 1_000 + number, logs: junk }))
    expect(await verify(kept)).toEqual(good)
    expect((await recoverFrom([kept.open()])).report).toMatchObject({ logs: [{ leaves: '30' }] })
  })

  it('is read as it is, without a remark, where nothing hides it', async () => {
    const kept = await makeArchive()
    expect(await verify(kept)).toEqual({ manifestHash: hexOf(kept.bytes), remarks: [] })
    expect(await readBack(kept)).toMatchObject({ done: true })
    // The same again, as a worker that began anew would put it.
    await kept.put('manifest.json', kept.bytes)
    expect(await verify(kept)).toEqual({ manifestHash: hexOf(kept.bytes), remarks: [] })
  })

  it('is found, verified and recovered behind removals of all its files', { timeout: 60_000 }, async () => {
    const kept = await makeArchive()
    const names = ['manifest.json', nameOf(kept, 'files'), nameOf(kept, 'checkpoints')]
    for (const name of names) {
      await kept.remove(name)
      expect(await kept.open().get(`${kept.id}/${name}`, 1_000_000, signal)).toBe(null)
    }
    expect(await kept.open().folders(signal)).toEqual([kept.id])
    const said = names.map((name) => expect.stringContaining(`${kept.id}/${name} `))
    const { manifestHash, remarks } = await verify(kept)
    expect(manifestHash).toBe(hexOf(kept.bytes))
    expect(remarks).toHaveLength(3)
    expect(remarks).toEqual(expect.arrayContaining(said))
    expect(await readBack(kept)).toMatchObject({ done: true })
    const { report, rows } = await recoverFrom([kept.open()])
    expect(report).toMatchObject({ logs: [{ leaves: '30' }], unfinished: [] })
    expect(report.remarks).toEqual(expect.arrayContaining(said))
    expect(formatRecovery(report).join('\n')).toMatch(/REMARK: .*manifest\.json was removed: somebody hid it/)
    expect(rows).toEqual(await rowsOf(platform.database.adminUrl, topic))
  })

  it('is verified by the command behind a removal, which says so', async () => {
    const kept = await makeArchive()
    await kept.remove('manifest.json')
    const { accessKeyId, secretAccessKey } = server.credentials
    const env = { S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey }
    const place = `s3://${kept.bucket}/kept?endpoint=${server.endpoint}&region=us-east-1`
    const args = [entry, 'verify', place, '--key', key.verifierKey.text]
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd: tmpdir() })
    expect(stdout).toMatch(new RegExp(`^${kept.id}: verified, 1 logs$`, 'm'))
    expect(stdout).toMatch(/^REMARK: .*manifest\.json was removed: somebody hid it/m)
  })

  it.each<[string, (before: Buffer) => Buffer]>([
    ['of the same length', (before) => Buffer.alloc(before.length, 'x')],
    ['that is longer', (before) => Buffer.alloc(before.length + 1, 'x')],
    ['that is empty', () => Buffer.alloc(0)],
  ])('is read behind garbage %s', async (_, garbage) => {
    const kept = await makeArchive()
    for (const name of ['manifest.json', nameOf(kept, 'files'), nameOf(kept, 'checkpoints')])
      for (let times = 0; times < 2; times++) {
        const before = (await kept.open().get(`${kept.id}/${name}`, 1_000_000, signal)) ?? Buffer.alloc(0)
        await kept.put(name, garbage(before))
      }
    const { manifestHash, remarks } = await verify(kept)
    expect([manifestHash, remarks.length]).toEqual([hexOf(kept.bytes), 3])
    expect(await readBack(kept)).toMatchObject({ done: true })
  })

  it('is damaged where no version of a file is right', async () => {
    const kept = await makeArchive(server, false)
    await kept.put(nameOf(kept, 'files'), Buffer.from('x'))
    await expect(verify(kept)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
    await expect(readBack(kept)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
    await kept.put('manifest.json', Buffer.from('x'))
    await expect(verify(kept)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
    await expect(readBack(kept)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
    await kept.remove('manifest.json')
    await expect(verify(kept)).rejects.toThrow('it was not found')
  })

  it('is that which its evidence bears out, of two manifests that could be read', async () => {
    const kept = await makeArchive()
    const [log] = kept.manifest.logs
    if (log === undefined) throw new Error('no log')
    // Files that are not there; a root that they do not have; no signatures.
    const [file] = log.files
    if (file === undefined) throw new Error('no file')
    const worse: Partial<Manifest['logs'][number]>[] = [
      { files: [{ ...file, sha256: 'ab'.repeat(32) }] },
      { rootHash: 'ab'.repeat(32) },
      { note: null, consistency: [] },
    ]
    for (const changes of worse) {
      await kept.put('manifest.json', altered(kept, { logs: [{ ...log, ...changes }] }))
      const { manifestHash, remarks } = await verify(kept)
      expect(manifestHash).toBe(hexOf(kept.bytes))
      expect(remarks).toEqual([
        expect.stringMatching(
          new RegExp(`manifest.json is another one in its newest version .*${hexOf(kept.bytes)} is good`),
        ),
      ])
    }
    // And where the newest is the good one there is nothing to remark.
    await kept.put('manifest.json', kept.bytes)
    expect(await verify(kept)).toEqual({ manifestHash: hexOf(kept.bytes), remarks: [] })
  })

  it('is refused when two manifests are good and say different things, and both are named', async () => {
    const kept = await makeArchive()
    const other = altered(kept, { createdBy: 'somebody else' })
    await kept.put('manifest.json', other)
    for (const work of [verify(kept), recoverFrom([kept.open()])])
      await expect(work).rejects.toMatchObject({
        code: 'ARCHIVE_AMBIGUOUS',
        message: expect.stringMatching(
          new RegExp(`differ in createdBy: .*${hexOf(other)}, .*${hexOf(kept.bytes)}`),
        ),
      })
    // Its worker knows which one it wrote.
    expect(await readBack(kept)).toMatchObject({ done: true })
    await kept.remove('manifest.json')
    await expect(verify(kept)).rejects.toMatchObject({ code: 'ARCHIVE_AMBIGUOUS' })
  })

  it('is held for an audit when the manifest that the database names is hidden, and not when it is in no version', async () => {
    const kept = await makeArchive()
    const { origin = '', rootHash = '' } = kept.manifest.logs[0] ?? {}
    await kept.put('manifest.json', altered(kept, { createdBy: 'somebody else' }))
    await kept.remove('manifest.json')
    const place = kept.open()
    const look = createHeldLeaves({
      readers: [{ place, codec: zstdCodec, signal }],
      ...{ keys: [key.verifierKey], say: () => undefined },
    })
    const named = { id: kept.id, place: place.name, manifestHash: hexOf(kept.bytes) }
    const rootAt = async () => hashFromHex(rootHash)
    expect(await look(origin, [named], rootAt)).toMatchObject({
      parts: [{ fromLeaf: 0n, toLeaf: 30n }],
      problems: [],
    })
    expect(place.remarks()).toEqual([expect.stringMatching(/manifest.json is missing in its newest version/)])
    const other = await look(origin, [{ ...named, manifestHash: 'ab'.repeat(32) }], rootAt)
    expect(other).toEqual({
      parts: [],
      problems: [expect.stringMatching(/the database names .*none of its 2 versions is right/)],
    })
  })

  it('is refused when more manifests look good than anybody makes who means well', {
    timeout: 60_000,
  }, async () => {
    const kept = await makeArchive()
    for (let number = 0; number < 100; number++)
      await kept.put('manifest.json', altered(kept, { createdBy: `somebody ${number}` }))
    await expect(verify(kept)).rejects.toMatchObject({
      code: 'ARCHIVE_AMBIGUOUS',
      message: expect.stringMatching(/has more than 100 different versions/),
    })
  })

  it('needs no versions of a server that keeps none', { timeout: 60_000 }, async () => {
    const plain = await startS3Server({ versions: false })
    servers.push(plain)
    const kept = await makeArchive(plain, false)
    expect(await verify(kept)).toEqual({ manifestHash: hexOf(kept.bytes), remarks: [] })
    expect(await kept.open().folders(signal)).toEqual([kept.id])
    expect((await recoverFrom([kept.open()])).report).toMatchObject({ logs: [{ leaves: '30' }] })
    await kept.remove(nameOf(kept, 'files'))
    await expect(verify(kept)).rejects.toThrow(/is missing$/)
  })

  it.each<[string, number, readonly unknown[]]>([
    [
      'may not be listed, and that is said',
      403,
      [expect.stringMatching(/only the newest .*AccessDenied, HTTP 403/)],
    ],
    ['are not known', 501, []],
  ])('is read in its newest version where versions %s', async (_, status, said) => {
    const kept = await makeArchive()
    const target = new URL(server.endpoint)
    // Passes on all but the list of versions, as for credentials that lack a right.
    const guard = createServer((asked, answer) => {
      if (/[?&]versions/.test(asked.url ?? '')) {
        answer.writeHead(status, { 'content-type': 'application/xml' })
        answer.end('<Error><Code>AccessDenied</Code><Message>no</Message></Error>')
        return
      }
      const passed = request(
        {
          host: target.hostname,
          port: target.port,
          method: asked.method,
          path: asked.url,
          headers: asked.headers,
        },
        (got) => {
          answer.writeHead(got.statusCode ?? 500, got.headers)
          got.pipe(answer)
        },
      )
      asked.pipe(passed)
    })
    await once(guard.listen(0, '127.0.0.1'), 'listening')
    try {
      const endpoint = `http://127.0.0.1:${(guard.address() as AddressInfo).port}`
      const place = openArchivePlace(
        {
          kind: 's3',
          place: {
            ...{
              bucket: kept.bucket,
              prefix: 'kept/',
              endpoint,
              region: 'us-east-1',
              pathStyle: true,
              lock: null,
            },
          },
        },
        server.credentials,
      )
      places.push(place)
      expect(await place.folders(signal)).toEqual([kept.id])
      const { manifestHash, remarks } = await verify(kept, place)
      expect(manifestHash).toBe(hexOf(kept.bytes))
      expect(remarks).toEqual(said)
      await kept.remove(nameOf(kept, 'files'))
      await expect(verify(kept, place)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' })
    } finally {
      guard.close()
      guard.closeAllConnections()
    }
  })
})
