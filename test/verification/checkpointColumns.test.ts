/** Columns of checkpoints that no hash and no signature covers: each is held against what else says it. */
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { createDatabase, type Database } from '../../src/store/database.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { testKey } from '../domain/evidence/keys.ts'
import type { OpenLog } from '../store/fixture.ts'
import { createTestDatabase, type TestDatabase, withClient } from '../support/database.ts'
import { trueEvents, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const NAME = 'example.com/ingest'
const key = testKey(NAME, 1)
const SIZES = [0n, 100n, 256n, 512n, 600n] as const

let database: TestDatabase
let connections: Database
let store: Store
/** 600 events at the offsets 0…599 of a log that goes on at 650, and checkpoints over some of them. */
let open: OpenLog

async function begin(): Promise<void> {
  database = await createTestDatabase('columns')
  connections = createDatabase({ url: database.appUrl })
  store = createStore(connections)
  open = await logOf(store, trueEvents(0n, 600n), 650n)
}

async function end(): Promise<void> {
  await connections.close()
  await database.drop()
}

async function checkpoints(signed: boolean): Promise<ReadonlyMap<bigint, string>> {
  const ids = new Map<bigint, string>()
  for (const size of SIZES) {
    const { id } = await storeCheckpoint(
      {
        log: store.reader,
        checkpoints: store.checkpoints,
        signingKeys: store.signingKeys,
        signing: { keys: signed ? [key] : [], overlapMs: 0 },
        checkpointStored: () => undefined,
      },
      {
        checkpointId: randomUUID(),
        // Over all leaves at the head: nothing was asked for there.
        request: { topic: open.log.identity.topic, ...(size < 600n && { offset: String(size) }) },
        requestedBy: 'test',
      },
    )
    ids.set(size, id)
  }
  return ids
}

const change = (text: string, values: readonly unknown[]): Promise<void> =>
  withClient(database.adminUrl, (client) =>
    withoutGuards(client, async () => {
      await client.query('set session_replication_role = replica')
      for (const statement of text.split(';'))
        expect((await client.query(statement, [...values])).rowCount).toBeGreaterThan(0)
    }),
  )

const found = async () =>
  (await verifyWhole(store, open)).findings.kept.map(({ kind, column, checkpointId }) => [
    kind,
    column,
    checkpointId,
  ])

const ofPosition = (set: string) => `update checkpoint_positions set ${set} where checkpoint_id = $1`
const ofCheckpoint = (set: string) => `update checkpoints set ${set} where id = $1`
/** Nobody asked for a certain offset: so the other columns must tell. */
const unasked = `; ${ofCheckpoint('"offset" = null')}`

describe.each([true, false])('signed: %s', (signed) => {
  let ids: ReadonlyMap<bigint, string>
  beforeAll(async () => {
    await begin()
    ids = await checkpoints(signed)
    await withClient(database.adminUrl, async (client) => {
      await client.query('create schema saved')
      for (const table of ['checkpoints', 'checkpoint_positions'])
        await client.query(`create table saved.${table} as select * from ${table}`)
    })
  })
  afterAll(end)
  afterEach(async () => {
    await change(
      `update checkpoints c set topic = s.topic, partition = s.partition, "offset" = s."offset", created_at = s.created_at
         from saved.checkpoints s where s.id = c.id;
       update checkpoint_positions p set partition = s.partition, "offset" = s."offset", note = s.note
         from saved.checkpoint_positions s where s.checkpoint_id = p.checkpoint_id`,
      [],
    )
    expect(await found()).toEqual([])
  })

  it('untouched there is nothing to find', async () => {
    expect(await found()).toEqual([])
  })

  it.each([
    ['the partition of a position', 256n, ofPosition('partition = 7'), 'partition'],
    ['the topic of a checkpoint', 256n, ofCheckpoint("topic = 'other'"), 'topic'],
    ['the partition that it was asked for', 600n, ofCheckpoint('partition = 3'), 'partition'],
    ['the offset that it was asked for', 256n, ofCheckpoint('"offset" = 1'), 'offset'],
    ['the offset of a position', 100n, ofPosition('"offset" = 101'), 'offset'],
    ['an offset inside of a block', 100n, ofPosition('"offset" = 101') + unasked, 'offset'],
    ['an offset behind the leaf after a block', 256n, ofPosition('"offset" = 257') + unasked, 'offset'],
    ['an offset far behind it', 512n, ofPosition('"offset" = 640') + unasked, 'offset'],
    ['an offset behind the end of the log', 600n, ofPosition('"offset" = 651'), 'offset'],
    ['an offset before its last leaf', 600n, ofPosition('"offset" = 599'), 'offset'],
    ['an offset over no leaves that is behind one', 0n, ofPosition('"offset" = 1') + unasked, 'offset'],
    [
      'a time before its last leaf',
      0n,
      ofCheckpoint("created_at = '2001-01-01'"),
      signed ? 'note' : 'created_at',
    ],
    [
      'a time before that of one before it',
      512n,
      ofCheckpoint("created_at = created_at - interval '1 day'"),
      signed ? 'note' : 'created_at',
    ],
    [
      'a time behind that of one behind it',
      256n,
      ofCheckpoint("created_at = created_at + interval '1 day'"),
      'created_at',
    ],
    ['no time', 256n, ofCheckpoint("created_at = '-infinity'"), 'created_at'],
  ] as const)('%s', async (_, size, text, column) => {
    const id = ids.get(size)
    await change(text, [id])
    expect(await found()).toEqual([['checkpoint', column, id]])
  })
})

describe('on a log of its own', () => {
  beforeEach(begin)
  afterEach(end)

  it('a block may end in front of a hole: then the offset may lie in it', async () => {
    const ids = await checkpoints(false)
    const at = (size: number) => change(ofPosition(`"offset" = ${size}`) + unasked, [ids.get(600n)])
    for (const fine of [600, 625, 650]) {
      await at(fine)
      expect(await found()).toEqual([])
    }
  })

  it('a note that was taken away does not pass for one of the time before the first key', async () => {
    const ids = await checkpoints(true)
    await change(ofPosition('note = null'), [ids.get(512n)])
    await change(ofCheckpoint("created_at = created_at - interval '10 minutes'"), [ids.get(512n)])
    expect(await found()).toEqual([['checkpoint', 'note', ids.get(512n)]])
  })

  it('checkpoints that were unsigned before the first key stay good when there is one', async () => {
    await checkpoints(false)
    await withClient(database.adminUrl, (client) =>
      withoutGuards(client, () =>
        client.query("update checkpoints set created_at = created_at - interval '1 hour'"),
      ),
    )
    await checkpoints(true)
    expect(await found()).toEqual([])
  })

  it('what a recovery adopted from notes is not in the order of its times', async () => {
    await checkpoints(true)
    const { logId, identity, incarnation, startOffset } = open.log
    const root = await store.reader.rootAt(logId, leafIndex(300n))
    const origin = formatOrigin({ instance: NAME, ...identity, incarnation, startOffset })
    await change("update signing_keys set signs_from = signs_from - interval '9 days' where name = $1", [
      NAME,
    ])
    const place = { logId, partition: 0, offset: offset(300n), size: leafIndex(300n), rootHash: root }
    await store.checkpoints.insertCheckpoint({
      ...{ id: randomUUID(), topic: identity.topic, partition: 0, offset: null, createdBy: 'recovery' },
      createdAt: new Date(Date.now() - 7 * 86_400_000),
      positions: [{ ...place, note: signCheckpoint({ origin, size: 300n, root, extensions: [] }, [key]) }],
    })
    await checkpoints(true)
    expect(await found()).toEqual([])
  })
})
