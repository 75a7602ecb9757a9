/** Notes at real places: a folder, a bucket, a topic, a witness that somebody else wrote. */

import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { cosign, cosignaturesOf, parseWitnessKey, witnessKey } from '../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../src/domain/evidence/ed25519.ts'
import { formatNote, parseNote } from '../../src/domain/evidence/note.ts'
import { type NotePlaceConfig, notePath } from '../../src/domain/evidence/notePlace.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { type Hash, leafIndex, logId } from '../../src/domain/model.ts'
import type { S3Place } from '../../src/domain/s3Place.ts'
import { LogNotTaken } from '../../src/errors.ts'
import type { HeldNote } from '../../src/evidence/auditNotes.ts'
import { createRecordProducer } from '../../src/kafka/record-producer.ts'
import { createTargetReader } from '../../src/kafka/target-reader.ts'
import { createBucketPlace } from '../../src/places/bucket.ts'
import { createCallLimit } from '../../src/places/callLimit.ts'
import { createFolderPlace } from '../../src/places/folder.ts'
import { heldNotes } from '../../src/places/heldNotes.ts'
import { createTopicPlace } from '../../src/places/topic.ts'
import { createWitnessPlace } from '../../src/places/witness.ts'
import type { LogState, NotePlace, NoteToPlace } from '../../src/ports.ts'
import { createObjectStore } from '../../src/s3/objectStore.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { usePlatform } from '../activities/fixture.ts'
import { taken, testKey } from '../domain/evidence/keys.ts'
import { checkpointAt, ORIGIN, oldKey } from '../domain/evidence/sampleLog.ts'
import { type S3Server, s3Missing, startS3Server } from '../support/s3.ts'
import { startWitness, type Witness, witnessMissing } from '../support/witness.ts'

const { signal } = new AbortController()
const context = { heldSize: leafIndex(0n), signal }
const { broker, platform, fill } = usePlatform('places')

const noteAt = (size: number, note = checkpointAt(size)): NoteToPlace => ({
  logId: logId(1),
  checkpointId: randomUUID(),
  size: leafIndex(BigInt(size)),
  note,
})

/** The same log and size, and another root. */
const forgedAt = (size: number): NoteToPlace => {
  const root = Buffer.alloc(32, size).toString('latin1') as Hash
  return noteAt(size, signCheckpoint({ origin: ORIGIN, size: BigInt(size), root, extensions: [] }, [oldKey]))
}

const forgedOf = (origin: string, size: number): NoteToPlace => {
  const root = Buffer.alloc(32, size).toString('latin1') as Hash
  return noteAt(size, signCheckpoint({ origin, size: BigInt(size), root, extensions: [] }, [oldKey]))
}

const unavailable = (text: string) => ({
  code: 'PLACE_UNAVAILABLE',
  message: expect.stringContaining(text),
})
const notTaken = (text: string) => ({ code: 'LOG_NOT_TAKEN', message: expect.stringContaining(text) })

async function read(config: NotePlaceConfig, s3: S3Server | null = null): Promise<readonly HeldNote[]> {
  const kafka = () => ({
    directory: broker.directory,
    reader: createTargetReader(broker.connection),
    close: () => undefined,
  })
  const notes: HeldNote[] = []
  const clients = { s3Credentials: s3?.credentials ?? null, kafka }
  for await (const note of heldNotes(config, clients, signal)) notes.push(note)
  return notes
}

const textsOf = (notes: readonly HeldNote[]): string[] =>
  notes.map(({ bytes }) => bytes.toString('utf8')).sort()

describe('a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'test-notes-'))
  const place = createFolderPlace('folder', folder)
  const fileOf = (size: number) => join(folder, notePath(ORIGIN, BigInt(size)))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('holds each note as a file, whole, once', async () => {
    for (const size of [5, 6, 5])
      expect(await place.place(noteAt(size), context)).toEqual({ outcome: 'held' })
    expect(readFileSync(fileOf(5), 'utf8')).toBe(checkpointAt(5))
    expect(readdirSync(join(folder, notePath(ORIGIN, 5n), '..'))).toEqual([
      '0000000000000000005.note',
      '0000000000000000006.note',
    ])
    expect(textsOf(await read({ kind: 'folder', name: 'folder', path: folder }))).toEqual(
      [checkpointAt(5), checkpointAt(6)].sort(),
    )
  })

  it('is read through links to files; one to a folder, or to nothing, is named and not passed over', async () => {
    const links = mkdtempSync(join(tmpdir(), 'test-links-'))
    const all = () => read({ kind: 'folder', name: 'links', path: links })
    try {
      await place.place(noteAt(5), context)
      symlinkSync(fileOf(5), join(links, '5.note'))
      expect(textsOf(await all())).toEqual([checkpointAt(5)])
      symlinkSync(folder, join(links, 'older'))
      await expect(all()).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringMatching(/older/),
      })
      rmSync(join(links, 'older'))
      symlinkSync('nowhere', join(links, '6.note'))
      await expect(all()).rejects.toMatchObject({
        code: 'PLACE_UNAVAILABLE',
        message: expect.stringMatching(/6\.note cannot be read \(ENOENT\)/),
      })
    } finally {
      rmSync(links, { recursive: true })
    }
  })

  it('is never written over: something else that is there is a conflict', async () => {
    await place.place(noteAt(7), context)
    expect(await place.place(forgedAt(7), context)).toMatchObject({ outcome: 'conflict' })
    expect(readFileSync(fileOf(7), 'utf8')).toBe(checkpointAt(7))
    writeFileSync(fileOf(8), 'half a no')
    expect(await place.place(noteAt(8), context)).toMatchObject({ outcome: 'conflict' })
    const many = await Promise.all(Array.from({ length: 8 }, () => place.place(noteAt(9), context)))
    expect(many).toEqual(Array(8).fill({ outcome: 'held' }))
    const other = createFolderPlace('x', folder)
    const raced = await Promise.all([place.place(noteAt(10), context), other.place(forgedAt(10), context)])
    expect(raced.map(({ outcome }) => outcome).sort()).toEqual(['conflict', 'held'])
    expect(await place.place(noteAt(11, 'no note'), context)).toMatchObject({ outcome: 'conflict' })
  })

  it('waits for nothing that is no file, and reads nothing that is larger than a note', async () => {
    expect(spawnSync('mkfifo', [fileOf(12)]).status).toBe(0)
    const found = await place.place(noteAt(12), context).catch((error: unknown) => error)
    rmSync(fileOf(12))
    expect(found).toMatchObject(notTaken('is no file'))
    writeFileSync(fileOf(13), '')
    truncateSync(fileOf(13), 2 ** 40)
    expect(await place.place(noteAt(13), context)).toMatchObject({
      ...{ outcome: 'conflict', detail: expect.stringMatching(/is too large for a note/) },
    })
  })

  it('that is not there is waited for, and not made: it may be a disk', async () => {
    const away = createFolderPlace('away', join(folder, 'unmounted'))
    await expect(away.place(noteAt(5), context)).rejects.toMatchObject(unavailable('ENOENT'))
    mkdirSync(join(folder, 'unmounted'))
    expect(await away.place(noteAt(5), context)).toEqual({ outcome: 'held' })
    rmSync(join(folder, 'unmounted'), { recursive: true })
    const file = join(folder, 'file')
    writeFileSync(file, '')
    chmodSync(file, 0o600)
    await expect(createFolderPlace('file', file).place(noteAt(5), context)).rejects.toMatchObject(
      unavailable('ENOTDIR'),
    )
    rmSync(file)
  })
})

describe('a folder that does not take some logs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'test-notes-'))
  const place = createFolderPlace('folder', folder, { limitMs: 300 })
  const other = (name: string, size: number) => {
    const root = Buffer.alloc(32, 5).toString('latin1') as Hash
    const origin = `${ORIGIN}/${name}`
    const body = { origin, size: BigInt(size), root, extensions: [] }
    const note = noteAt(size, signCheckpoint(body, [oldKey]))
    return { note, file: join(folder, notePath(origin, BigInt(size))) }
  }
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each<[string, (file: string) => void, string]>([
    ['a file where its folder would be', (file) => writeFileSync(dirname(file), ''), 'ENOTDIR'],
    ['a folder with the name of the note', (file) => mkdirSync(file, { recursive: true }), 'is no file'],
    ['a link to itself', (file) => symlinkSync(dirname(file), dirname(file)), 'ELOOP'],
  ])('%s: it says so of the log, and takes others', async (name, spoil, code) => {
    const { note, file } = other(encodeURIComponent(name), 5)
    mkdirSync(dirname(dirname(file)), { recursive: true })
    spoil(file)
    await expect(place.place(note, context)).rejects.toMatchObject(notTaken(code))
    expect(await place.place(other(`beside-${encodeURIComponent(code)}`, 5).note, context)).toEqual({
      outcome: 'held',
    })
  })

  it('a name that is longer than the disk takes is about the log', async () => {
    await expect(place.place(other('x'.repeat(300), 5).note, context)).rejects.toMatchObject(
      notTaken('ENAMETOOLONG'),
    )
  })
})

it('a call that hangs takes one thread, however often it is tried, and keeps nobody else from his', async () => {
  const calls = createCallLimit({ atOnce: 2, limitMs: 300 })
  let answer: (value: string) => void = () => undefined
  const stuck = new Promise<string>((resolve) => {
    answer = resolve
  })
  let begun = 0
  const hangs = () =>
    expect(
      calls.run('a', signal, () => {
        begun++
        return stuck
      }),
    ).rejects.toMatchObject(unavailable('hangs'))
  await hangs()
  const startedAt = performance.now()
  for (let attempt = 0; attempt < 50; attempt++) await hangs()
  expect(await calls.run('b', signal, async () => 'beside it')).toBe('beside it')
  // Waited for once more each, it would be fifteen seconds.
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect(begun).toBe(1)
  // The disk answers at last: the name is free.
  answer('late')
  await stuck
  await new Promise((resolve) => setImmediate(resolve))
  expect(await calls.run('a', signal, async () => 'again')).toBe('again')
})

describe('a topic', () => {
  it('gets each note with its origin as key, in all replicas', async () => {
    const topic = await broker.makeTopic(3)
    const place = createTopicPlace('topic', createRecordProducer(broker.connection, topic))
    for (const size of [3, 4]) expect(await place.place(noteAt(size), context)).toEqual({ outcome: 'held' })
    place.close()
    const notes = await read({ kind: 'kafka', name: 'topic', topic })
    expect(textsOf(notes)).toEqual([checkpointAt(3), checkpointAt(4)].sort())
    const [where = '', ...others] = new Set(notes.map((note) => note.where.split(' ')[0]))
    expect(others).toEqual([])
    const partition = Number(where.split('/')[1])
    const end = await createTargetReader(broker.connection).lastRecord(
      { topic, partition },
      ({ bytes, keyStarts, keyEnds }, index) =>
        bytes.subarray(keyStarts[index], keyEnds[index]).toString('utf8'),
      signal,
    )
    expect(end).toMatchObject({ kind: 'found', value: ORIGIN })
  })

  it('that does not exist is named, and not made', async () => {
    const topic = `test-${randomUUID()}`
    const place = createTopicPlace('topic', createRecordProducer(broker.connection, topic))
    await expect(place.place(noteAt(3), context)).rejects.toMatchObject(unavailable(topic))
    place.close()
    expect(await broker.directory.describe(topic)).toBe(null)
  })
})

const noBucket = s3Missing()
describe.skipIf(noBucket !== null)(`a bucket${noBucket === null ? '' : ` (${noBucket})`}`, () => {
  let server: S3Server
  beforeAll(async () => {
    server = await startS3Server()
  }, 600_000)
  afterAll(() => server?.close())

  it('holds each note as an object, locked, and is never written over', async () => {
    const made = await server.makeBucket(`b-${randomUUID()}`, { objectLock: true })
    const at = { ...made, prefix: 'notes/', lock: { mode: 'compliance', days: 30 } as const }
    const place = createBucketPlace('bucket', createObjectStore(at, server.credentials))
    for (const size of [5, 6, 5])
      expect(await place.place(noteAt(size), context)).toEqual({ outcome: 'held' })
    expect(await place.place(forgedAt(5), context)).toMatchObject({ outcome: 'conflict' })
    const other = createBucketPlace('other', createObjectStore(at, server.credentials))
    const raced = await Promise.all([place.place(noteAt(10), context), other.place(forgedAt(10), context)])
    expect(raced.map(({ outcome }) => outcome).sort()).toEqual(['conflict', 'held'])
    const notes = await read({ kind: 's3', name: 'bucket', place: at }, server)
    expect(textsOf(notes)).toEqual(expect.arrayContaining([checkpointAt(5), checkpointAt(6)]))
    expect(notes).toHaveLength(3)
    await server.stop()
    await expect(place.place(noteAt(7), context)).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await server.start()
    expect(await place.place(noteAt(7), context)).toEqual({ outcome: 'held' })
    for (const each of [place, other]) each.close()
  })

  it('an object that it refuses is about its log, a bucket or a key that is not there about the place', async () => {
    const made = await server.makeBucket(`b-${randomUUID()}`)
    const placeIn = (at: S3Place, credentials = server.credentials) =>
      createBucketPlace('bucket', createObjectStore(at, credentials))
    const place = placeIn(made)
    // Where its folder would be there is an object; another one's object is no note by its size.
    await server.client.send(
      new PutObjectCommand({ Bucket: made.bucket, Key: dirname(notePath(ORIGIN, 5n)), Body: 'in the way' }),
    )
    const large = forgedOf('other.example/log', 5)
    const Key = notePath('other.example/log', 5n)
    await server.client.send(
      new PutObjectCommand({ Bucket: made.bucket, Key, Body: Buffer.alloc(1_000_001) }),
    )
    await expect(place.place(noteAt(5), context)).rejects.toMatchObject(notTaken('HTTP 4'))
    await expect(place.place(large, context)).rejects.toMatchObject(notTaken('more than 1000000 bytes'))
    expect(await place.place(forgedOf('other.example/beside', 5), context)).toEqual({ outcome: 'held' })
    const gone = placeIn({ ...made, bucket: `none-${randomUUID()}` })
    await expect(gone.place(noteAt(5), context)).rejects.toMatchObject(unavailable('NoSuchBucket'))
    const stranger = placeIn(made, { ...server.credentials, secretAccessKey: 'wrong' })
    await expect(stranger.place(noteAt(5), context)).rejects.toMatchObject(
      unavailable('SignatureDoesNotMatch'),
    )
    for (const each of [place, gone, stranger]) each.close()
  })
})

const noWitness = witnessMissing()
describe.skipIf(noWitness !== null)(`a witness${noWitness === null ? '' : ` (${noWitness})`}`, () => {
  const NAME = 'example.com/ingest'
  const key = testKey(NAME, 1)
  let witness: Witness
  beforeAll(async () => {
    witness = await startWitness()
  }, 600_000)
  afterAll(() => witness?.close())

  async function aLog(): Promise<{ readonly log: LogState; readonly origin: string }> {
    const log = await fill({ topic: await broker.makeTopic(), count: 700 })
    const { identity, incarnation, startOffset } = log
    return { log, origin: formatOrigin({ instance: NAME, ...identity, incarnation, startOffset }) }
  }
  async function signed(log: LogState, origin: string, size: number, root?: Hash): Promise<NoteToPlace> {
    const at = leafIndex(BigInt(size))
    const true_ = await platform.store.reader.rootAt(log.logId, at)
    const note = signCheckpoint({ origin, size: at, root: root ?? true_, extensions: [] }, [key])
    return { logId: log.logId, checkpointId: randomUUID(), size: at, note }
  }
  const placeOf = (url = witness.url): NotePlace =>
    createWitnessPlace({
      name: 'witness',
      url,
      key: taken(parseWitnessKey(witness.verifierKey)),
      log: platform.store.reader,
    })

  it('cosigns a log as it grows, whatever is known of what it knows', async () => {
    const { log, origin } = await aLog()
    await witness.knowLog(origin, [key.verifierKey.text])
    const place = placeOf()
    const ask = async (size: number, held: number) => {
      const note = await signed(log, origin, size)
      const heldSize = leafIndex(BigInt(held))
      return { note, placed: await place.place(note, { heldSize, signal }) }
    }
    // From nothing; as expected; the same again; without a memory; with a false one.
    for (const [size, held] of [
      [300, 0],
      [400, 300],
      [400, 300],
      [512, 0],
      [600, 5],
      [700, 699],
    ] as const) {
      const { note, placed } = await ask(size, held)
      if (placed.outcome !== 'held') throw new Error(JSON.stringify(placed))
      const whole = taken(parseNote(`${note.note}${placed.cosignatures}`))
      const [cosignature, ...more] = taken(
        cosignaturesOf(whole, [taken(parseWitnessKey(witness.verifierKey))]),
      )
      expect([cosignature?.key.name, more]).toEqual([witness.name, []])
      expect(Math.abs(Number(cosignature?.timestamp) - Date.now() / 1_000)).toBeLessThan(60)
    }
    expect((await ask(350, 0)).placed).toMatchObject({
      outcome: 'superseded',
      detail: expect.stringContaining('700'),
    })
  })

  it('that has seen another history says so: a conflict', async () => {
    const { log, origin } = await aLog()
    await witness.knowLog(origin, [key.verifierKey.text])
    const place = placeOf()
    const forged = Buffer.alloc(32, 7).toString('latin1') as Hash
    expect((await place.place(await signed(log, origin, 300, forged), context)).outcome).toBe('held')
    expect(await place.place(await signed(log, origin, 500), context)).toMatchObject({ outcome: 'conflict' })
    expect(await place.place(await signed(log, origin, 300), context)).toMatchObject({ outcome: 'conflict' })
    // It has seen more than the log has: the log was cut off, or is not there yet.
    const short = await aLog()
    await witness.knowLog(short.origin, [key.verifierKey.text])
    const body = { origin: short.origin, size: 9_000n, root: forged, extensions: [] }
    const longer = { ...(await signed(short.log, short.origin, 1)), size: leafIndex(9_000n) }
    expect((await place.place({ ...longer, note: signCheckpoint(body, [key]) }, context)).outcome).toBe(
      'held',
    )
    // No conflict for good: a log that is read again after a loss gets there.
    const cut = signed(short.log, short.origin, 700).then((note) => place.place(note, context))
    await expect(cut).rejects.toThrow(LogNotTaken)
    await expect(cut).rejects.toMatchObject(notTaken('9000 leaves of this log, which has 700'))
    const grown = await fill({ topic: short.log.identity.topic, count: 9_300 })
    expect(await place.place(await signed(grown, short.origin, 700), context)).toMatchObject({
      outcome: 'superseded',
    })
    expect(await place.place(await signed(grown, short.origin, 9_500), context)).toMatchObject({
      outcome: 'conflict',
    })
  })

  it('that does not know the log, or is away, is asked again later', async () => {
    const { log, origin } = await aLog()
    const note = await signed(log, origin, 300)
    await expect(placeOf().place(note, context)).rejects.toMatchObject(notTaken('the witness'))
    const [port = 0] = await lastingPorts(1)
    await expect(placeOf(`http://127.0.0.1:${port}`).place(note, context)).rejects.toMatchObject(
      unavailable('ECONNREFUSED'),
    )
    const aborted = AbortSignal.abort()
    await expect(placeOf().place(note, { ...context, signal: aborted })).rejects.toMatchObject(
      unavailable('the witness'),
    )
  })
})

describe('what answers like no witness', () => {
  const NAME = 'example.com/ingest'
  const key = testKey(NAME, 1)
  const witness = witnessKey('witness.example/w1', keyPairOf(Buffer.alloc(32, 9)).publicKey)
  let answer: RequestListener = (_, response) => response.end()
  let bodies: string[] = []
  const server = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()).toString('utf8'))
    answer(request, response)
  })
  let url = ''
  let note: NoteToPlace
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { logId, identity, incarnation, startOffset } = await fill({
      topic: await broker.makeTopic(),
      count: 700,
    })
    const size = leafIndex(600n)
    const root = await platform.store.reader.rootAt(logId, size)
    const origin = formatOrigin({ instance: NAME, ...identity, incarnation, startOffset })
    const signed = signCheckpoint({ origin, size, root, extensions: [] }, [key])
    note = { logId, checkpointId: randomUUID(), size, note: signed }
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })
  const sizeAnswer =
    (size: () => string): RequestListener =>
    (_, response) =>
      response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(size())
  const place = () =>
    createWitnessPlace({ name: 'witness', url, key: witness, log: platform.store.reader }).place(
      note,
      context,
    )

  const ofTheLog = ['knows no key', 'does not know this log', '701 leaves of this log, which has 700']
  it.each<[string, RequestListener, string]>([
    ['nothing', (_, response) => response.end(), 'no signature lines'],
    ['a page', (_, response) => response.end('<html>'), 'no signature lines'],
    ['too much', (_, response) => response.end('x'.repeat(100_000)), 'too long'],
    ['a refusal', (_, response) => response.writeHead(403).end(), 'knows no key'],
    ['an unknown log', (_, response) => response.writeHead(404).end(), 'does not know this log'],
    ['a fault', (_, response) => response.writeHead(500).end('secret'), 'HTTP 500'],
    ['another place', (_, response) => response.writeHead(302, { location: url }).end(), 'does not answer'],
    ['no size', sizeAnswer(() => 'many'), 'names no size'],
    ['a size with a sign', sizeAnswer(() => '+5'), 'names no size'],
    ['other sizes each time', sizeAnswer(() => `${100 + bodies.length}`), 'another size each time'],
    ['more leaves than there are', sizeAnswer(() => '701'), '701 leaves of this log, which has 700'],
    ['a broken line', (request) => request.socket.destroy(), 'does not answer'],
  ])('%s: it is asked again later', async (_, how, why) => {
    bodies = []
    answer = how
    const failure = await place().then(String, (error: Error) => error)
    expect(failure).toMatchObject(ofTheLog.includes(why) ? notTaken(why) : unavailable(why))
    expect(String(failure)).not.toContain('secret')
    expect(bodies.length).toBeLessThan(3)
  })

  it.each<[number, boolean]>([
    [400, true],
    [403, true],
    [404, true],
    [429, false],
    [503, false],
  ])('whether HTTP %s is about the log alone: %s', async (status, isOfLog) => {
    answer = (_, response) => response.writeHead(status).end()
    const failure = await place().then(String, (error: unknown) => error)
    expect(failure instanceof LogNotTaken).toBe(isOfLog)
  })

  it('a cosignature of another text, or of another witness, counts for nothing', async () => {
    const { text } = taken(parseNote(note.note))
    const lines = (over: string, name: string, seed: number) =>
      formatNote({ text, signatures: [cosign(over, name, Buffer.alloc(32, seed), 5n)] }).slice(
        text.length + 1,
      )
    for (const body of [lines('x\n', witness.name, 9), lines(text, 'witness.example/w2', 8)]) {
      answer = (_, response) => response.end(body)
      await expect(place()).rejects.toMatchObject(unavailable('cosignature of'))
    }
    answer = (_, response) => response.end(lines(text, witness.name, 9))
    expect(await place()).toMatchObject({ outcome: 'held', cosignatures: lines(text, witness.name, 9) })
    expect(bodies.at(-1)).toBe(`old 0\n\n${note.note}`)
  })

  it.each<[string, RequestListener]>([
    ['another root at the size that it knows', sizeAnswer(() => '600')],
    ['a proof that does not hold', (_, response) => response.writeHead(422).end()],
  ])('%s is a conflict', async (_, how) => {
    let asked = 0
    // The size that it was told of is asked for once more; then it is its word.
    answer = (request, response) => {
      asked++
      how(request, response)
    }
    expect(await place()).toMatchObject({ outcome: 'conflict' })
    expect(asked).toBeLessThan(3)
  })
})
