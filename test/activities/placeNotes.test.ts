/** Notes on their way to folders, with a real database: what waits, what holds up what, and what is written down. */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { placeNotes } from '../../activities/placeNotes.ts'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { createReadiness } from '../../src/api/health.ts'
import { notesProbe } from '../../src/api/notesProbe.ts'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { notePath, originOf } from '../../src/domain/evidence/notePlace.ts'
import { MAX_LOG_RESTS, NO_RESTS, type PlaceRests, restsAfter } from '../../src/domain/evidence/noteRests.ts'
import { hashToBytes } from '../../src/domain/hash.ts'
import { type Hash, logId as logIdOf } from '../../src/domain/model.ts'
import { LogNotTaken, ServiceError } from '../../src/errors.ts'
import { auditNotes } from '../../src/evidence/auditNotes.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { registerPlaceMetrics } from '../../src/metrics/notes.ts'
import { createFolderPlace } from '../../src/places/folder.ts'
import { notesOfFolder } from '../../src/places/heldNotes.ts'
import type { NotePlace } from '../../src/ports.ts'
import { createNoteStore } from '../../src/store/notes.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { withClient } from '../support/database.ts'
import { until } from '../support/platform.ts'
import { withoutGuards } from '../verification/trueLog.ts'
import { scopeOf, usePlatform } from './fixture.ts'

const { broker, platform, fill } = usePlatform('notes')
const key = testKey('example.com/ingest', 1)
const folders: string[] = []
/** What is shown is of now, however slow the database is. */
const patient = { freshMs: 0, timeoutMs: 30_000 }
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A place that is new to the installation: everything that was ever signed waits for it. */
function aPlace() {
  const folder = mkdtempSync(join(tmpdir(), 'test-notes-'))
  folders.push(folder)
  const name = `file://${folder}`
  const place = createFolderPlace(name, folder)
  const deps = { ...platform.deps, places: [place] }
  return {
    name,
    place,
    fileOf: (note: string, size: bigint) => join(folder, notePath(originOf(note) ?? '', size)),
    send: (signal?: AbortSignal) => placeNotes(deps, scopeOf(signal), { place: name }),
    standing: async () => (await platform.store.notes.standingOf([name]))[0],
  }
}

async function checkpointOf(topic: string, offset?: string) {
  const request = { topic, ...(offset !== undefined && { offset }) }
  const deps = { ...platform.deps, signing: { keys: [key], overlapMs: 0 } }
  const { id } = await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'test' })
  const stored = await platform.store.checkpoints.getCheckpoint(id)
  const [position] = stored?.positions ?? []
  if (position === undefined || position.note === null) throw new Error('it is not signed')
  return { id, ...position, note: position.note }
}

async function aLog(count = 300): Promise<string> {
  const topic = await broker.makeTopic()
  await fill({ topic, count })
  return topic
}

/** So that what is counted is what a test made. */
async function settle({ send, standing }: ReturnType<typeof aPlace>): Promise<void> {
  await send()
  expect(await standing()).toMatchObject({ waiting: 0, failure: null })
}

it('sends what was signed, each log and size once, and shows it', async () => {
  const place = aPlace()
  await settle(place)
  const topic = await aLog()
  const first = await checkpointOf(topic, '100')
  const head = await checkpointOf(topic)
  await checkpointOf(topic)
  expect(await place.standing()).toMatchObject({ waiting: 2, conflicts: 0 })
  expect(await place.send()).toEqual({ placed: 2, more: false })
  expect(await place.send()).toEqual({ placed: 0, more: false })
  for (const { note, size } of [first, head]) expect(existsSync(place.fileOf(note, size))).toBe(true)
  expect(
    (await platform.store.notes.placedNotes(head.id)).filter(({ place: at }) => at === place.name),
  ).toEqual([
    {
      logId: head.logId,
      place: place.name,
      outcome: 'held',
      detail: null,
      cosignatures: null,
      placedAt: expect.any(Date),
    },
  ])
  expect(await platform.store.notes.heldSize(place.name, head.logId)).toBe(300n)
})

it('a place that is new gets everything, also where nothing was unsettled for long', async () => {
  const topic = await aLog()
  const { note, size } = await checkpointOf(topic)
  const place = aPlace()
  await settle(place)
  expect(existsSync(place.fileOf(note, size))).toBe(true)
  // A store that has seen all settled looks at new ones only, and sees one that comes.
  let now = Date.now()
  const notes = createNoteStore(platform.connections, () => now)
  await withClient(platform.database.adminUrl, async (client) => {
    await withoutGuards(client, async () => {
      await client.query("update checkpoints set created_at = created_at - interval '1 hour'")
      await client.query("update signing_keys set signs_from = signs_from - interval '1 day'")
    })
  })
  expect(await notes.standingOf([place.name])).toMatchObject([{ waiting: 0 }])
  await checkpointOf(topic, '200')
  expect(await notes.standingOf([place.name])).toMatchObject([{ waiting: 1 }])
  const found = await notes.notesToPlace(place.name)
  expect(found).toMatchObject([{ size: 200n }])
  expect(await notes.notesToPlace(place.name, { logs: found.map(({ logId }) => logId) })).toEqual([])
  // Put back to a backup, a database numbers new checkpoints from lower on: after a while it is looked at whole.
  await settle(place)
  await withClient(platform.database.adminUrl, async (client) => {
    await client.query('alter table note_placements disable trigger reject_change')
    await client.query('delete from note_placements where place = $1 and size = 300', [place.name])
    await client.query('alter table note_placements enable always trigger reject_change')
  })
  expect(await notes.standingOf([place.name])).toMatchObject([{ waiting: 0 }])
  now += 3_600_000
  expect((await notes.standingOf([place.name]))[0]?.waiting).toBeGreaterThan(0)
  // What is old and waits holds the mark back, and is seen at every look.
  expect((await notes.standingOf([place.name]))[0]?.waiting).toBeGreaterThan(0)
  expect((await notes.notesToPlace(place.name)).map(({ size: of }) => of)).toContain(300n)
})

it('who asks for the standing at once gets one look; a mark keeps the next one short while an old note waits', async () => {
  const place = aPlace()
  await settle(place)
  const texts: string[] = []
  const readers = new Proxy(platform.connections.readers, {
    get(pool, name) {
      if (name !== 'query') return Reflect.get(pool, name)
      return (query: { readonly text: string }, values: readonly unknown[]) => {
        texts.push(`${query.text} -- ${JSON.stringify(values)}`)
        return pool.query(query, [...values])
      }
    },
  })
  const notes = createNoteStore({ ...platform.connections, readers })
  const { id } = await checkpointOf(await aLog())
  await withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query("update checkpoints set created_at = created_at - interval '1 hour'")
      await client.query("update signing_keys set signs_from = signs_from - interval '1 day'")
    }),
  )
  const ask = () => notes.standingOf([place.name])
  const answers = await Promise.all([ask(), ask(), ask()])
  const standings = () => texts.filter((text) => text.includes('note_failures'))
  expect(standings()).toHaveLength(1)
  for (const answer of answers) expect(answer).toMatchObject([{ waiting: 1 }])
  expect(await ask()).toMatchObject([{ waiting: 1 }])
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query('select sequence as mark from checkpoints where id = $1', [id]),
  )
  // It is known by its log, and what is before the mark is not read again for it.
  expect(standings()[1]).toContain(`-- ["${rows[0]?.mark}",`)
  await settle(place)
})

it('a log that was refused for long does not make the looks for all others long', async () => {
  const place = aPlace()
  await settle(place)
  const texts: string[] = []
  const readers = new Proxy(platform.connections.readers, {
    get(pool, name) {
      if (name !== 'query') return Reflect.get(pool, name)
      return (query: { readonly text: string }, values: readonly unknown[]) => {
        texts.push(`-- ${JSON.stringify(values.map(String))}`)
        return pool.query(query, [...values])
      }
    },
  })
  const notes = createNoteStore({ ...platform.connections, readers })
  const [refused, other] = [await aLog(), await aLog()]
  const blocked = [await checkpointOf(refused, '100'), await checkpointOf(refused)]
  const held = [await checkpointOf(other, '100'), await checkpointOf(other, '200')]
  await withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query("update checkpoints set created_at = created_at - interval '1 hour'")
      await client.query("update signing_keys set signs_from = signs_from - interval '1 day'")
    }),
  )
  for (const note of await notes.notesToPlace(place.name))
    if (note.logId === blocked[0]?.logId)
      await notes.recordFailure(place.name, note, { code: 'LOG_NOT_TAKEN', detail: `of ${note.size}` })
    else await notes.recordPlacement(place.name, note, { outcome: 'held' })
  const standing = async () => (await notes.standingOf([place.name]))[0]
  const sizes = async (except = {}) =>
    (await notes.notesToPlace(place.name, except)).map(({ logId, size }) => `${logId} ${size}`)
  const both = { waiting: 2, refusedLogs: 1, refused: [{ topic: refused, detail: 'of 300' }] }
  expect(await standing()).toMatchObject(both)
  // The mark is behind what the others have, and all that waits of the refused one is seen still.
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query('select max(sequence) as mark from checkpoints', []),
  )
  texts.length = 0
  expect(await standing()).toMatchObject(both)
  expect(texts.at(-1)).toContain(`-- ["${rows[0]?.mark}",`)
  const left = blocked.map(({ logId, size }) => `${logId} ${size}`)
  expect(await sizes()).toEqual(left)
  expect(await sizes({ logs: [blocked[0]?.logId] })).toEqual([])
  // What is new of either, and of a smaller size too, is seen.
  const later = await checkpointOf(other)
  await checkpointOf(refused, '50')
  expect(await standing()).toMatchObject({ waiting: 4, refusedLogs: 1 })
  expect(await sizes({ logs: [blocked[0]?.logId] })).toEqual([`${later.logId} 300`])
  expect((await sizes()).sort()).toEqual([...left, `${blocked[0]?.logId} 50`, `${later.logId} 300`].sort())
  expect(held).toHaveLength(2)
  // Another one that is refused later, and the end of it all.
  const [newer] = await notes.notesToPlace(place.name, { logs: [logIdOf(blocked[0]?.logId ?? 0)] })
  if (newer === undefined) throw new Error('nothing waits')
  await notes.recordFailure(place.name, newer, { code: 'LOG_NOT_TAKEN', detail: 'too' })
  expect(await standing()).toMatchObject({ waiting: 4, refusedLogs: 2 })
  expect(await standing()).toMatchObject({ waiting: 4, refusedLogs: 2 })
  await settle(place)
  expect(await standing()).toMatchObject({ waiting: 0, refusedLogs: 0, failure: null })
  expect(await sizes()).toEqual([])
})

it('a look that is asked for from now on sees what was stored before, also beside one that is under way', async () => {
  const place = aPlace()
  await settle(place)
  const { notes } = platform.store
  const topic = await aLog()
  const underWay = notes.standingOf([place.name])
  await checkpointOf(topic)
  const [seen] = await notes.standingOf([place.name], { fromNow: true })
  expect(seen).toMatchObject({ waiting: 1 })
  await underWay
  await settle(place)
})

it('a log that a place does not take holds up no other, and is written down without flooding', async () => {
  const place = aPlace()
  await settle(place)
  const topics = [await aLog(), await aLog(), await aLog()]
  const made = []
  for (const topic of topics) made.push(await checkpointOf(topic))
  const [, blocked] = made
  if (blocked === undefined) throw new Error('nothing was made')
  // Where the second log's folder would be there is a file.
  const inTheWay = dirname(place.fileOf(blocked.note, blocked.size))
  mkdirSync(dirname(inTheWay), { recursive: true })
  writeFileSync(inTheWay, '')
  const before = Date.now()
  for (let attempt = 0; attempt < 3; attempt++)
    expect(await place.send()).toMatchObject({
      placed: attempt === 0 ? 2 : 0,
      more: false,
      rests: { logs: [{ logId: blocked.logId, tries: 1, ofPlace: false }], place: null },
      failure: { code: 'LOG_NOT_TAKEN', detail: expect.stringContaining('ENOTDIR') },
    })
  const held = made.map(({ note, size }) => existsSync(place.fileOf(note, size)))
  expect(held).toEqual([true, false, true])
  const standing = await place.standing()
  expect(standing).toMatchObject({
    waiting: 1,
    oldestWaiting: expect.any(Date),
    lastPlaced: expect.any(Date),
    failure: { code: 'LOG_NOT_TAKEN', detail: expect.stringContaining('ENOTDIR') },
    refusedLogs: 1,
    refused: [{ topic: topics[1], partition: 0, incarnation: 1, code: 'LOG_NOT_TAKEN' }],
  })
  const since = standing?.refused[0]?.since.getTime() ?? 0
  expect(since).toBeGreaterThanOrEqual(before - 1)
  expect(since).toBeLessThanOrEqual(Date.now())
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query('select detail from note_failures where place = $1', [place.name]),
  )
  expect(rows).toHaveLength(1)
  // Readiness and metrics name the log, the reason, and since when.
  const all = () => platform.store.notes.standingOf([place.name])
  const shown = await createReadiness([notesProbe(all)], patient)()
  expect(shown.checks['notes']).toMatchObject({
    places: {
      [place.name]: {
        refusedLogs: 1,
        refused: [{ topic: topics[1], code: 'LOG_NOT_TAKEN', since: new Date(since).toISOString() }],
      },
    },
  })
  const metrics = createMetrics()
  registerPlaceMetrics(metrics.registry, all)
  const text = await metrics.text()
  expect(text).toContain(`notes_refused_logs{place="${place.name}"} 1`)
  expect(text).toContain(
    `notes_refused_seconds{place="${place.name}",topic="${topics[1]}",partition="0",incarnation="1",code="LOG_NOT_TAKEN"} `,
  )
  rmSync(inTheWay)
  await settle(place)
  expect(await place.standing()).toMatchObject({ refusedLogs: 0, refused: [] })
})

it('a log that was refused is not asked for again before its time, and others are sent meanwhile', async () => {
  const place = aPlace()
  await settle(place)
  const blocked = await checkpointOf(await aLog())
  const asked: number[] = []
  let isRefusing = true
  let nowMs = Date.now()
  const picky: NotePlace = {
    ...place.place,
    place: async (note, context) => {
      asked.push(note.logId)
      if (isRefusing && note.logId === blocked.logId) throw new LogNotTaken('it does not know this log')
      return await place.place.place(note, context)
    },
  }
  const deps = { ...platform.deps, places: [picky], now: () => nowMs }
  const look = (rests?: PlaceRests) =>
    placeNotes(deps, scopeOf(), { place: place.name, ...(rests !== undefined && { rests }) })
  const pauses: number[] = []
  let slice = await look()
  for (let round = 0; round < 9; round++) {
    pauses.push(slice.againInMs ?? -1)
    // A note that comes in the pause is sent in the pause, and the refused log is left alone.
    asked.length = 0
    const other = await checkpointOf(await aLog(20))
    slice = await look(slice.rests)
    expect([slice.placed, asked]).toEqual([1, [other.logId]])
    nowMs += pauses.at(-1) ?? 0
    asked.length = 0
    slice = await look(slice.rests)
    expect(asked).toEqual([blocked.logId])
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  isRefusing = false
  nowMs += 60_000
  expect(await look(slice.rests)).toEqual({ placed: 1, more: false })
})

it('a log beyond those that have a pause of their own rests too, longer each time', async () => {
  const place = aPlace()
  await settle(place)
  const blocked = await checkpointOf(await aLog(20))
  let nowMs = Date.now()
  // As many as have a pause each.
  const strangers = () =>
    [...Array(MAX_LOG_RESTS).keys()].map((count) => ({
      ...{ logId: 100_000 + count, tries: 6, untilMs: nowMs + 30_000, ofPlace: false },
    }))
  const failure = { nowMs, placed: 0, failed: new Map([[blocked.logId, { ofLog: true }]]) }
  const usual = { kept: () => true, away: false, untried: false, flawed: null }
  let rests = restsAfter({ ...NO_RESTS, logs: strangers() }, { ...failure, ...usual })
  const asked: number[] = []
  const picky: NotePlace = {
    ...place.place,
    place: async (note, context) => {
      asked.push(note.logId)
      if (note.logId === blocked.logId) throw new LogNotTaken('it does not know this log')
      return await place.place.place(note, context)
    },
  }
  const deps = { ...platform.deps, places: [picky], now: () => nowMs }
  const look = async () => {
    asked.length = 0
    const before = { ...(rests ?? NO_RESTS), logs: strangers() }
    const slice = await placeNotes(deps, scopeOf(), { place: place.name, rests: before })
    rests = slice.rests ?? null
    return slice
  }
  const pauses: number[] = []
  for (let round = 0; round < 3; round++) {
    const other = await checkpointOf(await aLog(20))
    expect([(await look()).placed, asked]).toEqual([1, [other.logId]])
    expect(rests?.groups).toMatchObject([{ count: 1, tries: round + 1 }])
    const untilMs = rests?.groups?.[0]?.untilMs ?? 0
    pauses.push(untilMs - nowMs)
    nowMs = untilMs
    await look()
    expect(asked).toEqual([blocked.logId])
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000])
  await settle(place)
})

it('logs that are slow to be refused leave room for the others', async () => {
  const place = aPlace()
  await settle(place)
  const slow = new Set<number>()
  for (let count = 0; count < 6; count++) slow.add((await checkpointOf(await aLog(20))).logId)
  const released = Promise.withResolvers<void>()
  let hanging = 0
  const picky: NotePlace = {
    ...place.place,
    place: async (note, context) => {
      if (!slow.has(note.logId)) return await place.place.place(note, context)
      hanging++
      await released.promise
      throw new ServiceError('PLACE_UNAVAILABLE', 'it does not answer')
    },
  }
  const rest = (logId: number) => ({ logId, tries: 3, untilMs: 0, ofPlace: false })
  const rests: PlaceRests = { logs: [...slow].map(rest), place: null, flawed: null, untried: false }
  // The look ends with what hangs, not by the clock.
  const nowMs = Date.now()
  const deps = { ...platform.deps, places: [picky], now: () => nowMs }
  const looking = placeNotes(deps, scopeOf(), { place: place.name, rests })
  await until(
    () => hanging === 2,
    20_000,
    () => `${hanging} hang`,
  )
  // They come while the others hang, which is until they are released.
  for (let count = 0; count < 5; count++) {
    const { note, size } = await checkpointOf(await aLog(20))
    await until(
      () => existsSync(place.fileOf(note, size)),
      10_000,
      () => 'it waits for those that hang',
    )
  }
  expect(hanging).toBe(2)
  released.resolve()
  const { placed, rests: after } = await looking
  expect([placed, after?.place, after?.logs.every(({ ofPlace }) => !ofPlace)]).toEqual([5, null, true])
  await settle(place)
})

it('a place that takes nothing is not asked for every log, and gets everything when it is back', async () => {
  const folder = aPlace()
  await settle(folder)
  const made = []
  for (let count = 0; count < 12; count++) made.push(await checkpointOf(await aLog(20)))
  let isAway = true
  let asked = 0
  const picky: NotePlace = {
    ...folder.place,
    place: (note, context) => {
      asked++
      return isAway
        ? Promise.reject(new ServiceError('PLACE_UNAVAILABLE', 'away'))
        : folder.place.place(note, context)
    },
  }
  let nowMs = Date.now()
  const deps = { ...platform.deps, places: [picky], now: () => nowMs }
  const look = (rests?: PlaceRests) =>
    placeNotes(deps, scopeOf(), { place: folder.name, ...(rests !== undefined && { rests }) })
  let slice = await look()
  expect(slice).toMatchObject({ placed: 0, more: false, rests: { untried: true }, againInMs: 1_000 })
  expect(asked).toBeLessThanOrEqual(6)
  // Each log is tried once, in case it was others that failed; then all rest together.
  const perLook: number[] = []
  const pauses: number[] = []
  for (let round = 0; round < 14; round++) {
    pauses.push(slice.againInMs ?? 0)
    nowMs += slice.againInMs ?? 0
    asked = 0
    slice = await look(slice.rests)
    perLook.push(asked)
  }
  expect(Math.max(...perLook)).toBeLessThanOrEqual(6)
  expect(Math.max(...pauses)).toBe(60_000)
  expect(slice.rests?.logs).toHaveLength(12)
  // A new note in the pause is tried, and nothing else.
  asked = 0
  made.push(await checkpointOf(await aLog(20)))
  slice = await look(slice.rests)
  expect(asked).toBe(1)
  // With the first note that it takes, all are sent, whatever pauses they had.
  isAway = false
  made.push(await checkpointOf(await aLog(20)))
  expect(await look(slice.rests)).toEqual({ placed: 14, more: false })
  for (const { note, size } of made) expect(existsSync(folder.fileOf(note, size))).toBe(true)
})

it('many logs that a place does not take, or that are damaged, hold up no other', async () => {
  const folder = aPlace()
  await settle(folder)
  const made = []
  for (let count = 0; count < 5; count++) made.push(await checkpointOf(await aLog()))
  const refused = new Set(made.slice(0, 4).map(({ logId }) => logId))
  const kinds = [new LogNotTaken('no such log'), new ServiceError('LOG_DAMAGED', 'a leaf is gone')]
  let asked = 0
  const picky: NotePlace = {
    ...folder.place,
    place: (note, context) =>
      refused.has(note.logId)
        ? Promise.reject(kinds[asked++ % 2] ?? new LogNotTaken('never'))
        : folder.place.place(note, context),
  }
  const taken = made.at(-1)
  if (taken === undefined) throw new Error('nothing was made')
  const sent = await placeNotes({ ...platform.deps, places: [picky], now: () => 0 }, scopeOf(), {
    place: folder.name,
  })
  expect(sent).toMatchObject({ placed: 1, more: false, rests: { place: null } })
  expect(sent.rests?.logs.map(({ logId }) => logId).sort()).toEqual([...refused].sort())
  expect(existsSync(folder.fileOf(taken.note, taken.size))).toBe(true)
  await settle(folder)
})

it('a note that its row, its log or the keys belie is never sent, and holds up no good one', async () => {
  const place = aPlace()
  await settle(place)
  const [mine, other] = [await aLog(), await aLog()]
  const good = await checkpointOf(mine, '100')
  const elsewhere = await checkpointOf(other, '100')
  const later = await checkpointOf(mine)
  const origin = originOf(good.note) ?? ''
  const stranger = signCheckpoint({ origin, size: 50n, root: good.rootHash, extensions: [] }, [
    testKey('example.com/ingest', 7),
  ])
  const rows: readonly [id: string, at: string, size: number, note: string][] = [
    // Before and behind the genuine one, of its size and of others.
    [`00000000${randomUUID().slice(8)}`, 'now()', 100, elsewhere.note],
    [`ffffffff${randomUUID().slice(8)}`, 'now()', 100, 'no note'],
    [randomUUID(), "'-infinity'", 100, good.note],
    [randomUUID(), 'now()', 50, good.note],
    [randomUUID(), 'now()', 50, stranger],
  ]
  await withClient(platform.database.appUrl, async (client) => {
    for (const [id, at, size, note] of rows) {
      await client.query(
        `insert into checkpoints (id, topic, created_at, created_by) values ($1, $2, ${at}, 'forger')`,
        [id, mine],
      )
      await client.query(
        `insert into checkpoint_positions (checkpoint_id, log_id, partition, "offset", size, root_hash, note)
         values ($1, $2, 0, $3, $3, $4, $5)`,
        [id, good.logId, size, hashToBytes(good.rootHash), note],
      )
    }
  })
  expect(await place.send()).toMatchObject({
    placed: 3,
    rests: { logs: [], place: null, flawed: { tries: 1 } },
    againInMs: 1_000,
    failure: { code: 'NOTE_REFUSED', detail: expect.stringContaining('is not sent') },
  })
  for (const { note, size } of [good, elsewhere, later])
    expect(readFileSync(place.fileOf(note, size), 'utf8')).toBe(note)
  expect(existsSync(place.fileOf(good.note, 50n))).toBe(false)
  // The size that only forged rows have does not wait, and is named; what was placed is not spoken of.
  const ids = rows.filter(([, , size]) => size === 50).map(([id]) => id)
  const standing = await place.standing()
  expect(standing).toMatchObject({
    ...{ waiting: 0, moreWait: false, conflicts: 0, failure: null, refusedLogs: 0 },
    flawed: { count: 2, more: false, first: { topic: mine, partition: 0, incarnation: 1, size: 50n } },
  })
  const first = standing?.flawed?.first
  if (first === undefined) throw new Error('none is named')
  expect(ids).toContain(first.checkpointId)
  expect(first.detail).toContain(first.checkpointId)
  expect(await platform.store.notes.unplacedNotes(first.checkpointId, [place.name])).toMatchObject([
    { failure: { code: 'NOTE_REFUSED', detail: first.detail } },
  ])
  await withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      const forged = rows.map(([id]) => id)
      await client.query('delete from checkpoint_positions where checkpoint_id = any($1)', [forged])
      await client.query('delete from checkpoints where id = any($1)', [forged])
    }),
  )
  await settle(place)
  expect(await place.standing()).toMatchObject({ flawed: null })
})

/** As who may insert does: of no signature. */
async function forge(log: { readonly logId: number; readonly rootHash: Hash }, count: number): Promise<void> {
  await withClient(platform.database.appUrl, async (client) => {
    await client.query(
      `with made as (insert into checkpoints (id, topic, created_by) select gen_random_uuid(), 'forged', 'forger' from generate_series(1, $1::int) returning id)
       insert into checkpoint_positions (checkpoint_id, log_id, partition, "offset", size, root_hash, note)
       select id, $2::int, 0, 1, 1 + (row_number() over ()) % 20, $3::bytea, 'no note' from made`,
      [count, log.logId, hashToBytes(log.rootHash)],
    )
  })
}

afterEach(() => takeForgedAway())

const takeForgedAway = () =>
  withClient(platform.database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query(
        "delete from checkpoint_positions where checkpoint_id in (select id from checkpoints where created_by = 'forger')",
      )
      await client.query("delete from checkpoints where created_by = 'forger'")
    }),
  )

it('however many forged notes lie below the good ones of a log, these are sent; the forged ones never, and are named', async () => {
  const folder = aPlace()
  await settle(folder)
  const topic = await aLog()
  const good = [await checkpointOf(topic, '100'), await checkpointOf(topic)]
  const [first] = good
  if (first === undefined) throw new Error('nothing was made')
  await forge(first, 2_500)
  const other = await checkpointOf(await aLog(20))
  const offered: string[] = []
  const watched: NotePlace = {
    ...folder.place,
    place: (note, context) => {
      offered.push(note.note)
      return folder.place.place(note, context)
    },
  }
  let nowMs = Date.now()
  const deps = { ...platform.deps, places: [watched], now: () => nowMs }
  const look = (rests?: PlaceRests) =>
    placeNotes(deps, scopeOf(), { place: folder.name, ...(rests !== undefined && { rests }) })
  let slice = await look()
  expect(slice).toMatchObject({ placed: 3, more: false, rests: { logs: [], flawed: { tries: 1 } } })
  expect(offered.sort()).toEqual([...good, other].map(({ note }) => note).sort())
  const named = {
    count: 2_500,
    first: { topic, detail: expect.stringContaining('is not sent') },
  }
  expect(await folder.standing()).toMatchObject({ waiting: 0, moreWait: false, flawed: named })
  expect((await folder.standing())?.flawed?.more).toBe(false)
  const all = () => platform.store.notes.standingOf([folder.name])
  const shown = await createReadiness([notesProbe(all)], { freshMs: 0 })()
  expect(shown).toMatchObject({
    status: 'ready',
    checks: {
      notes: { state: 'degraded', places: { [folder.name]: { flawed: { code: 'NOTE_REFUSED', ...named } } } },
    },
  })
  const metrics = createMetrics()
  registerPlaceMetrics(metrics.registry, all)
  const text = await metrics.text()
  expect(text).toContain(`notes_flawed{place="${folder.name}"} 2500`)
  expect(text).toMatch(
    new RegExp(`notes_flawed_seconds{place="${folder.name}",topic="${topic}",.*"NOTE_REFUSED"} `),
  )
  // They are looked at again some at a time, ever less often, to the last and from the first on; nothing is written for it.
  const froms: string[] = []
  const pauses: number[] = []
  for (let round = 0; round < 7; round++) {
    nowMs += slice.againInMs ?? 0
    slice = await look(slice.rests)
    expect(slice).toMatchObject({ placed: 0, failure: { code: 'NOTE_REFUSED' } })
    froms.push(slice.rests?.flawed?.from === undefined ? 'first' : 'later')
    pauses.push(slice.againInMs ?? 0)
  }
  expect(froms).toEqual(['later', 'later', 'first', 'later', 'later', 'first', 'later'])
  expect(pauses).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
  expect(offered).toHaveLength(3)
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query(
      `select (select count(*)::int from note_flaws where place = $1) as flaws,
              (select count(*)::int from note_failures where place = $1) as failures`,
      [folder.name],
    ),
  )
  expect(rows).toEqual([{ flaws: 2_500, failures: 0 }])
  await takeForgedAway()
  for (let round = 0; round < 5 && slice.rests !== undefined; round++) {
    nowMs += 60_000
    slice = await look(slice.rests)
  }
  expect(slice).toEqual({ placed: 0, more: false })
  expect(await folder.standing()).toMatchObject({ waiting: 0, flawed: null })
})

it('a note that was mended, and a good one that somebody marked as flawed, are sent', async () => {
  const place = aPlace()
  await settle(place)
  const [mended, marked] = [await checkpointOf(await aLog(20)), await checkpointOf(await aLog(20))]
  const setNote = (note: string) =>
    withClient(platform.database.adminUrl, (client) =>
      withoutGuards(client, (guarded) =>
        guarded.query('update checkpoint_positions set note = $1 where checkpoint_id = $2', [
          note,
          mended.id,
        ]),
      ),
    )
  await setNote('no note')
  await withClient(platform.database.appUrl, (client) =>
    client.query(
      `insert into note_flaws (place, checkpoint_id, log_id, size, detail) values ($1, $2, $3, $4, 'a lie')`,
      [place.name, marked.id, marked.logId, String(marked.size)],
    ),
  )
  expect(await place.send()).toMatchObject({ placed: 1, rests: { flawed: { tries: 1 } } })
  expect(readFileSync(place.fileOf(marked.note, marked.size), 'utf8')).toBe(marked.note)
  expect(await place.standing()).toMatchObject({ waiting: 0, flawed: { count: 1 } })
  await setNote(mended.note)
  expect(await place.send()).toEqual({ placed: 1, more: false })
  expect(readFileSync(place.fileOf(mended.note, mended.size), 'utf8')).toBe(mended.note)
  expect(await place.standing()).toMatchObject({ waiting: 0, flawed: null })
})

it('a mark that a note was sent, put there by who may insert, is found by the audit: no note speaks for the leaves', async () => {
  const place = aPlace()
  await settle(place)
  const { id, logId, size, note } = await checkpointOf(await aLog())
  await withClient(platform.database.appUrl, (client) =>
    client.query(
      `insert into note_placements (place, log_id, size, checkpoint_id, outcome) values ($1, $2, $3, $4, 'held')`,
      [place.name, logId, size.toString(), id],
    ),
  )
  expect(await place.send()).toEqual({ placed: 0, more: false })
  expect(await place.standing()).toMatchObject({ waiting: 0 })
  const { reader, queries, notes, signingKeys } = platform.store
  const deps = {
    reader,
    logs: queries,
    notes,
    signingKeys,
    derive: async () => ({ damage: null, detached: 0n }),
    held: null,
  }
  const folder = place.name.slice('file://'.length)
  const options = { keys: [], quick: true, onProgress: () => undefined }
  expect((await auditNotes(deps, notesOfFolder(folder, scopeOf().signal), options)).withoutNotes).toContain(
    originOf(note),
  )
})

it('a failure is shown as long as its note waits, and no longer', async () => {
  const place = aPlace()
  await settle(place)
  const [gone, waits] = [await checkpointOf(await aLog()), await checkpointOf(await aLog())]
  const { notes } = platform.store
  const both = await notes.notesToPlace(place.name)
  const noteOf = (id: number) => both.find(({ logId }) => logId === id) ?? Promise.reject(new Error('none'))
  const fail = async (id: number, detail: string) =>
    notes.recordFailure(place.name, await noteOf(id), { code: 'PLACE_UNAVAILABLE', detail })
  await fail(waits.logId, 'of what waits')
  await fail(gone.logId, 'newer, and over')
  expect(await place.standing()).toMatchObject({ waiting: 2, failure: { detail: 'newer, and over' } })
  await notes.recordPlacement(place.name, await noteOf(gone.logId), { outcome: 'held' })
  expect(await place.standing()).toMatchObject({ waiting: 1, failure: { detail: 'of what waits' } })
  await notes.recordPlacement(place.name, await noteOf(waits.logId), { outcome: 'held' })
  expect(await place.standing()).toMatchObject({ waiting: 0, failure: null })
})

it('something else that a place holds is an alarm, in readiness and metrics, and stops nothing', async () => {
  const place = aPlace()
  await settle(place)
  const probe = notesProbe(() => platform.store.notes.standingOf([place.name]))
  const readiness = createReadiness([probe], patient)
  expect(await readiness()).toMatchObject({ status: 'ready', checks: { notes: { state: 'up' } } })
  const topic = await aLog()
  const { note, size } = await checkpointOf(topic)
  mkdirSync(dirname(place.fileOf(note, size)), { recursive: true })
  writeFileSync(place.fileOf(note, size), 'something else')
  expect(await place.send()).toEqual({ placed: 1, more: false })
  expect(await readiness()).toMatchObject({
    status: 'ready',
    checks: { notes: { state: 'degraded', places: { [place.name]: { state: 'degraded', conflicts: 1 } } } },
  })
  const metrics = createMetrics()
  registerPlaceMetrics(metrics.registry, () => platform.store.notes.standingOf([place.name]))
  expect(await metrics.text()).toContain(`notes_conflicting{place="${place.name}"} 1`)
  expect(await metrics.text()).toContain(`notes_waiting{place="${place.name}"} 0`)
})

it('a note that waits for a minute is seen; a database that is away makes nothing red', async () => {
  const place = aPlace()
  await settle(place)
  await checkpointOf(await aLog())
  const standing = () => platform.store.notes.standingOf([place.name])
  const stateAfter = async (ms: number) =>
    (await createReadiness([notesProbe(standing, () => Date.now() + ms)], patient)()).checks['notes']?.state
  expect([await stateAfter(0), await stateAfter(61_000)]).toEqual(['up', 'degraded'])
  const away = createReadiness([notesProbe(() => Promise.reject(new Error('down')))])
  expect(await away()).toMatchObject({ status: 'ready', checks: { notes: { state: 'down' } } })
})

it('refuses a place that it does not have, and ends when it is cancelled', async () => {
  await expect(placeNotes(platform.deps, scopeOf(), { place: 'nowhere' })).rejects.toMatchObject({
    code: 'UNKNOWN_PLACE',
  })
  const place = aPlace()
  await checkpointOf(await aLog())
  await expect(place.send(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
})
