/** The signed notes of checkpoints, as verification of a log sees them: by the keys that signed at their time. */
import { randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { type OpenLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { trueEvents, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const fixture = useStore('verifynotes')
const NAME = 'example.com/ingest'
const key = testKey(NAME, 1)
const SIZES = [0n, 100n, 256n, 300n] as const

async function signedLog(): Promise<{ readonly open: OpenLog; readonly ids: ReadonlyMap<bigint, string> }> {
  const { store } = fixture
  const open = await logOf(store, trueEvents(0n, 300n), 300n)
  const ids = new Map<bigint, string>()
  for (const size of SIZES) {
    const deps = {
      log: store.reader,
      checkpoints: store.checkpoints,
      signingKeys: store.signingKeys,
      signing: { keys: [key], overlapMs: 0 },
      checkpointStored: () => undefined,
    }
    const request = { topic: open.log.identity.topic, offset: String(size) }
    const { id } = await storeCheckpoint(deps, { checkpointId: randomUUID(), request, requestedBy: 'test' })
    ids.set(size, id)
  }
  return { open, ids }
}

const change = (text: string, values: readonly unknown[]): Promise<void> =>
  withClient(fixture.database.adminUrl, (client) =>
    withoutGuards(client, () => client.query(text, [...values])),
  )

it('good notes of every size are no finding', async () => {
  const { open } = await signedLog()
  expect((await verifyWhole(fixture.store, open)).findings.kept).toEqual([])
})

it.each(SIZES)('a note over %s leaves that is not good is named with its checkpoint', async (size) => {
  const { open, ids } = await signedLog()
  const { identity, incarnation, startOffset, logId } = open.log
  const origin = formatOrigin({ instance: NAME, ...identity, incarnation, startOffset })
  const root = await fixture.store.reader.rootAt(logId, leafIndex(size))
  const sign = (of: string, by = key) => signCheckpoint({ origin: of, size, root, extensions: [] }, [by])
  const good = sign(origin)
  const put = (note: string | null) =>
    change('update checkpoint_positions set note = $2 where checkpoint_id = $1', [ids.get(size), note])
  const bad: [string | null, string][] = [
    [sign(origin, testKey(NAME, 2)), 'no known key has signed it'],
    [sign(`${origin}/2`), 'it is a checkpoint of'],
    [good.replace(/.{6}\n$/, 'AAAA==\n'), 'has a'],
    [null, 'carries no signature'],
  ]
  for (const [note, why] of bad) {
    await put(note)
    const { findings } = await verifyWhole(fixture.store, open)
    expect(findings.kept).toMatchObject([
      {
        kind: 'checkpoint',
        column: 'note',
        checkpointId: ids.get(size),
        detail: expect.stringContaining(why),
      },
    ])
  }
  await put(good)
  expect((await verifyWhole(fixture.store, open)).findings.kept).toEqual([])
})

it('a good note of a time when its key did not sign is not good', async () => {
  const { open, ids } = await signedLog()
  const id = ids.get(256n)
  const move = (to: string) =>
    change(`update checkpoints set created_at = created_at ${to} where id = $1`, [id])
  await move("- interval '1 day'")
  expect((await verifyWhole(fixture.store, open)).findings.kept).toMatchObject([
    { column: 'note', checkpointId: id, detail: expect.stringContaining('no key is known that signed when') },
  ])
  await move("+ interval '1 day'")
  expect((await verifyWhole(fixture.store, open)).findings.kept).toEqual([])
})
