/** A signing key that came after the newest archive: its notes are adopted, and it goes on signing. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { verifySlice } from '../../activities/verification/verifyLogSlice.ts'
import { adoptNotes } from '../../src/archive/adoptNotes.ts'
import type { HeldNote } from '../../src/archive/notesHeld.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { createDatabase } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { appendTo, type OpenLog, openLog } from '../store/fixture.ts'
import { trueEvents, verdict } from '../verification/trueLog.ts'
import { key, recoverInto, useArchives } from './fixture.ts'

const { platform, makeFolder, depsFor, archive, emptyDatabase } = useArchives('rotated')
const apart = useArchives('rotated_apart')
const signal = new AbortController().signal
const second = testKey('example.com/ingest', 2)
const third = testKey('example.com/ingest', 3)

async function sign(store: Store, topic: string, keys: readonly SigningKey[]): Promise<HeldNote> {
  const deps = { ...depsFor(null), ...store, log: store.reader, logs: store.queries }
  const { id } = await storeCheckpoint(
    { ...deps, signing: { keys, overlapMs: 0 } },
    { checkpointId: randomUUID(), request: { topic }, requestedBy: 'test' },
  )
  const stored = await store.checkpoints.getCheckpoint(id)
  const [position] = stored?.positions ?? []
  return { name: `${position?.size}.note`, text: position?.note ?? '' }
}

/** The note over a log that has grown up to an offset. */
async function grown(store: Store, open: OpenLog, to: bigint, signer: SigningKey): Promise<HeldNote> {
  await appendTo(store, open, trueEvents(open.position.nextOffset, to), to)
  return await sign(store, open.log.identity.topic, [signer])
}

it('keys that signed different logs follow each other as they were given', async () => {
  // A database of its own, whose keys nobody has rotated.
  const { platform, makeFolder, archive, emptyDatabase } = apart
  const [one, other] = [await openLog(platform.store), await openLog(platform.store)]
  const notes: HeldNote[] = []
  const grow = async (open: OpenLog, to: bigint, signer: SigningKey) =>
    notes.push(await grown(platform.store, open, to, signer))
  const folder = makeFolder()
  for (const open of [one, other]) {
    await grow(open, 20n, key)
    await archive(folder, { topic: open.log.identity.topic })
  }
  await grow(one, 40n, second)
  await grow(other, 40n, third)
  const database = await emptyDatabase()
  const keys = [key, second, third].map(({ verifierKey }) => verifierKey)
  await recoverInto(database, folder, { notes, keys })
  const connections = createDatabase({ url: database.appUrl })
  try {
    const store = createStore(connections)
    const deps = { ...store, logs: store.queries }
    const forged = notes.map((note) => (note === notes.at(-1) ? { ...note, text: `${note.text}x` } : note))
    for (const open of [one, other]) {
      const [log] = await store.reader.logsOf(open.log.identity.topic)
      if (log === undefined) throw new Error('no log')
      await appendTo(store, { log, position: log.position }, trueEvents(20n, 40n), 40n)
    }
    // What ends without adopting writes no key down.
    const options = { keys, say: () => undefined, signal }
    await expect(adoptNotes(deps, { ...options, notes: forged })).rejects.toMatchObject({
      code: 'NOTE_REFUSED',
    })
    expect((await store.signingKeys.keyState()).periods).toHaveLength(1)
    expect(await adoptNotes(deps, { ...options, notes })).toMatchObject({ complete: true })
    const { periods } = await store.signingKeys.keyState()
    expect(periods.at(-1)).toMatchObject({ key: { text: third.verifierKey.text }, untilMs: null })
  } finally {
    await connections.close()
  }
})

it('two keys, one after the other, that no archive knows', async () => {
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  const notes: HeldNote[] = []
  const grow = async (to: bigint, signer: SigningKey) =>
    notes.push(await grown(platform.store, open, to, signer))
  await grow(40n, key)
  const folder = makeFolder()
  await archive(folder, { topic })
  await grow(60n, key)
  await grow(80n, second)
  await grow(100n, third)

  const database = await emptyDatabase()
  const keys = [key, second, third].map(({ verifierKey }) => verifierKey)
  await recoverInto(database, folder, { notes, keys })
  const connections = createDatabase({ url: database.appUrl })
  try {
    const store = createStore(connections)
    const [log] = await store.reader.logsOf(topic)
    if (log === undefined) throw new Error('no log')
    const again = { log, position: log.position }
    await appendTo(store, again, trueEvents(40n, 100n), 100n)
    const adopt = (given = keys) =>
      adoptNotes({ ...store, logs: store.queries }, { notes, keys: given, say: () => undefined, signal })
    // The last key is the one that signs on: their order is not guessed.
    await expect(adopt([...keys].reverse())).rejects.toMatchObject({ code: 'SIGNING_KEY_REFUSED' })
    expect((await store.signingKeys.keyState()).periods).toHaveLength(1)
    expect(await adopt()).toMatchObject({
      complete: true,
      logs: [{ provenTo: '100', adopted: 3, present: 1 }],
    })
    expect(await adopt()).toMatchObject({ complete: true, logs: [{ adopted: 0, present: 4 }] })
    const { periods } = await store.signingKeys.keyState()
    expect(periods.map((period) => [period.key.text, period.untilMs !== null])).toEqual([
      [key.verifierKey.text, true],
      [second.verifierKey.text, true],
      [third.verifierKey.text, false],
    ])

    // The others are retired, and the newest goes on.
    await expect(sign(store, topic, [second])).rejects.toMatchObject({ code: 'SIGNING_KEY_MISSING' })
    await appendTo(store, again, trueEvents(100n, 120n), 120n)
    await sign(store, topic, [third])
    const progress = await verifySlice(
      { audit: store.audit, verdict, observer: { leavesVerified: () => undefined }, now: Date.now },
      log.logId,
      null,
      { signal, due: () => false, report: () => undefined },
    )
    expect(progress).toMatchObject({ done: true, findings: { counts: {} }, counts: { checkpoints: 5n } })
  } finally {
    await connections.close()
  }
})
