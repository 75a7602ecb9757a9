import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createRawServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeleteObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { getHeld } from '../../src/archive/files.ts'
import { sha256 } from '../../src/domain/hash.ts'
import type { S3Place } from '../../src/domain/s3Place.ts'
import { createBucketArchives } from '../../src/places/archives/bucket.ts'
import { createRemarks } from '../../src/places/archives/remarks.ts'
import { createObjectStore, type ObjectStore } from '../../src/s3/objectStore.ts'
import { type S3Server, s3Missing, startS3Server } from '../support/s3.ts'

const { signal } = new AbortController()
const missing = s3Missing()
if (missing !== null) console.warn(`skipped: objects in a real bucket (${missing})`)

describe.skipIf(missing !== null)('objects in a bucket', () => {
  let server: S3Server
  const stores: ObjectStore[] = []
  // Frozen, as what comes out of a configuration is.
  const storeOf = (place: S3Place, credentials = server.credentials): ObjectStore => {
    const store = createObjectStore(place, Object.freeze({ ...credentials }))
    stores.push(store)
    return store
  }
  const newBucket = (objectLock = false) => server.makeBucket(`b-${randomUUID()}`, { objectLock })
  beforeAll(async () => {
    server = await startS3Server()
  }, 600_000)
  afterAll(async () => {
    for (const store of stores) store.close()
    await server?.close()
  })

  it('are put, got, listed by prefix, and not found', async () => {
    const store = storeOf(await newBucket())
    for (const name of ['a/2', 'a/10', 'b/1'])
      expect(await store.put(name, Buffer.from(name), { signal })).toBe('stored')
    expect((await store.get('a/10', 100, signal))?.toString()).toBe('a/10')
    expect(await store.get('a/11', 100, signal)).toBe(null)
    const keys: [string, number][] = []
    for await (const { key, bytes } of store.list('a/', signal)) keys.push([key, bytes])
    expect(keys).toEqual([
      ['a/10', 4],
      ['a/2', 3],
    ])
    await expect(store.get('a/10', 3, signal)).rejects.toMatchObject({ code: 'PLACE_UNAVAILABLE' })
  })

  it('are listed beyond one page', { timeout: 120_000 }, async () => {
    const store = storeOf(await newBucket())
    const names = Array.from({ length: 1_050 }, (_, index) => `n/${String(index).padStart(5, '0')}`)
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(
        names.slice(from, from + 50).map((name) => store.put(name, Buffer.from('x'), { signal })),
      )
    const keys: string[] = []
    for await (const { key } of store.list('n/', signal)) keys.push(key)
    expect(keys).toEqual(names)
    const versions: string[] = []
    for await (const { key } of store.versions('n/', signal)) versions.push(key)
    expect(versions).toEqual(names)
  })

  it('come from a file too, and only whole', async () => {
    const store = storeOf(await newBucket())
    const folder = mkdtempSync(join(tmpdir(), 'test-object-'))
    try {
      const content = Buffer.alloc(3_000_000, 'ab')
      const path = join(folder, 'file')
      writeFileSync(path, content)
      const file = { path, bytes: content.length, sha256: sha256(content) }
      expect(await store.put('file', file, { signal })).toBe('stored')
      expect(content.equals((await store.get('file', 4_000_000, signal)) ?? Buffer.alloc(0))).toBe(true)
      const other = { ...file, sha256: sha256(Buffer.from('another')) }
      await expect(store.put('wrong', other, { signal })).rejects.toMatchObject({ code: 'PLACE_UNAVAILABLE' })
      expect(await store.get('wrong', 4_000_000, signal)).toBe(null)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('stay as they are where they must be absent', async () => {
    const store = storeOf(await newBucket())
    const options = { signal, ifAbsent: true }
    expect(await store.put('once', Buffer.from('first'), options)).toBe('stored')
    expect(await store.put('once', Buffer.from('second'), options)).toBe('exists')
    expect((await store.get('once', 100, signal))?.toString()).toBe('first')
  })

  it('are seen in every version, also behind newer ones and removals', async () => {
    for (const isVersioned of [true, false]) {
      const place = await newBucket(isVersioned)
      const store = storeOf(place)
      for (const text of ['one', 'two']) await store.put('v/a', Buffer.from(text), { signal })
      await store.put('v/b', Buffer.from('three'), { signal })
      await store.put('w', Buffer.from('elsewhere'), { signal })
      if (isVersioned) await server.client.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: 'v/a' }))
      const texts: string[] = []
      for await (const { key, versionId } of store.versions('v/', signal))
        texts.push(`${key} ${await store.get(key, 100, signal, versionId ?? undefined)}`)
      expect(texts.sort()).toEqual(
        isVersioned ? ['v/a one', 'v/a two', 'v/b three'] : ['v/a two', 'v/b three'],
      )
      expect(await store.get('v/a', 100, signal)).toEqual(isVersioned ? null : Buffer.from('two'))
    }
  })

  it('cannot be deleted while they are locked', async () => {
    const place = await newBucket(true)
    const store = storeOf(place)
    await store.put('note', Buffer.from('true'), { signal, lock: { mode: 'compliance', days: 1 } })
    const { client } = server
    const listed = await client.send(new ListObjectVersionsCommand({ Bucket: place.bucket }))
    const VersionId = listed.Versions?.[0]?.VersionId
    expect(VersionId).toBeTypeOf('string')
    const removal = new DeleteObjectCommand({
      Bucket: place.bucket,
      Key: 'note',
      ...(VersionId !== undefined && { VersionId }),
      BypassGovernanceRetention: true,
    })
    await expect(client.send(removal)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } })
    expect((await store.get('note', 100, signal))?.toString()).toBe('true')
    const plain = storeOf(await newBucket())
    const lock = { mode: 'governance', days: 1 } as const
    await expect(plain.put('note', Buffer.from('x'), { signal, lock })).rejects.toMatchObject({
      code: 'PLACE_UNAVAILABLE',
    })
  })

  it('say what failed by its code, and never a secret', async () => {
    const place = await newBucket()
    const secretAccessKey = 'not-the-secret-at-all'
    const failing: [ObjectStore, string][] = [
      [storeOf(place, { ...server.credentials, secretAccessKey }), 'SignatureDoesNotMatch'],
      [storeOf({ ...place, bucket: `b-${randomUUID()}` }), 'NoSuchBucket'],
      [storeOf({ ...place, endpoint: 'http://127.0.0.1:1' }), 'ECONNREFUSED'],
    ]
    for (const [store, code] of failing) {
      const failure = await store.put('x', Buffer.from('x'), { signal }).then(String, (error: Error) => error)
      expect(failure).toMatchObject({ code: 'PLACE_UNAVAILABLE', message: expect.stringContaining(code) })
      expect(String(failure)).not.toContain(secretAccessKey)
      await expect(store.get('x', 100, signal)).rejects.toMatchObject({ code: 'PLACE_UNAVAILABLE' })
    }
  })
})

describe('a server that goes silent is given up', () => {
  // All that a bucket's server may stop at: before it answers, or within an answer.
  let answer: RequestListener = () => undefined
  const server = createServer((request, response) => answer(request, response))
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' }
  let place: S3Place
  let store: ObjectStore
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    place = { bucket: 'b', prefix: '', region: 'us-east-1', endpoint, pathStyle: true, lock: null }
    store = createObjectStore(place, credentials, { requestMs: 300 })
  })
  afterAll(() => {
    store.close()
    server.close()
    server.closeAllConnections()
  })

  it('does not give one object, and the older version of it: an archive reads that', async () => {
    // What answers has all the time that it needs.
    const answering = createObjectStore(place, credentials)
    onTestFinished(() => answering.close())
    const good = Buffer.from('as it was put')
    answer = (request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://x')
      if (searchParams.has('versions'))
        response.end(`<ListVersionsResult><IsTruncated>false</IsTruncated>
          <Version><Key>a/file</Key><VersionId>two</VersionId><IsLatest>true</IsLatest><Size>${good.length}</Size></Version>
          <Version><Key>a/file</Key><VersionId>one</VersionId><IsLatest>false</IsLatest><Size>${good.length}</Size></Version>
        </ListVersionsResult>`)
      else if (searchParams.get('versionId') === 'one') response.end(good)
      else {
        response.statusCode = 403
        response.end('<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>')
      }
    }
    const told: string[] = []
    const remarks = createRemarks((text) => void told.push(text))
    const archives = createBucketArchives({ name: 's3://b', address: 's3://b' }, answering, remarks)
    const wanted = { bytes: good.length, maxBytes: good.length, sha256: sha256(good) }
    expect(await getHeld(archives, 'a/file', wanted, signal)).toEqual(good)
    expect(told).toEqual([expect.stringMatching(/^a\/file cannot be read in its newest version/)])
    const other = { ...wanted, sha256: sha256(Buffer.from('other')) }
    await expect(getHeld(archives, 'a/file', other, signal)).rejects.toMatchObject({
      code: 'PLACE_UNAVAILABLE',
      message: expect.stringMatching(/^a\/file: reading in the bucket b failed \(InvalidObjectState/),
    })
  })

  it.each<[string, () => Promise<unknown>]>([
    ['put', () => store.put('x', Buffer.from('x'), { signal })],
    ['put much', () => store.put('x', Buffer.alloc(100_000_000), { signal })],
    ['get', () => store.get('x', 100, signal)],
    ['list', () => store.list('x', signal).next()],
    ['versions', () => store.versions('x', signal).next()],
  ])('at %s', async (_, ask) => {
    answer = () => undefined
    await expect(ask()).rejects.toMatchObject({
      code: 'PLACE_UNAVAILABLE',
      message: expect.stringMatching(/ETIMEDOUT|TimeoutError/),
    })
  })

  it('within an object', async () => {
    answer = (_request, response) => response.writeHead(200, { 'content-length': '10' }).write('half')
    await expect(store.get('x', 100, signal)).rejects.toMatchObject({ code: 'PLACE_UNAVAILABLE' })
  })
})

describe('an object that stops coming in the middle', () => {
  const HALF = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf!'
  const raw = createRawServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => socket.write(HALF))
  })
  const sockets = new Set<{ destroy(): void }>()
  raw.on('connection', (socket) => sockets.add(socket))
  let place: S3Place
  beforeAll(async () => {
    await once(raw.listen(0, '127.0.0.1'), 'listening')
    const endpoint = `http://127.0.0.1:${(raw.address() as AddressInfo).port}`
    place = { bucket: 'b', prefix: '', region: 'us-east-1', endpoint, pathStyle: true, lock: null }
  })
  afterAll(() => {
    for (const socket of sockets) socket.destroy()
    raw.close()
  })
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' }
  /** All that comes, and then what it ends with. */
  const read = async (store: ObjectStore, until: AbortSignal): Promise<string> => {
    let text = ''
    for await (const chunk of (await store.open('x', until)) ?? []) text += String(chunk)
    return text
  }

  it.each<[string, (store: ObjectStore, until: AbortSignal) => Promise<unknown>]>([
    ['got whole', (store, until) => store.get('x', 100, until)],
    ['got as a version', (store, until) => store.get('x', 100, until, 'v')],
    ['read as a stream', read],
  ])('ends with the signal when it is %s, long before its silence is too long', async (_, ask) => {
    const store = createObjectStore(place, credentials)
    const until = new AbortController()
    const begun = performance.now()
    setTimeout(() => until.abort(), 300)
    await expect(ask(store, until.signal)).rejects.toThrow(/AbortError|ABORT_ERR|abort/)
    expect(performance.now() - begun).toBeLessThan(5_000)
    store.close()
  })

  it('ends with the silence limit as a stream too', async () => {
    const store = createObjectStore(place, credentials, { requestMs: 200 })
    await expect(read(store, signal)).rejects.toThrow()
    store.close()
  })
})
