import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { planReplay } from '../../activities/planReplay.ts'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { openCheckpoint, signCheckpoint } from '../../src/domain/evidence/checkpointNote.ts'
import { findPeriodFlaw } from '../../src/domain/evidence/keyPeriods.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { nameOf } from '../../src/domain/evidence/origin.ts'
import { openStoredNote } from '../../src/domain/evidence/storedNote.ts'
import { hashFromBytes } from '../../src/domain/hash.ts'
import { ServiceError } from '../../src/errors.ts'
import type { Checkpoint, CheckpointPosition } from '../../src/ports.ts'
import { taken, testKey } from '../domain/evidence/keys.ts'
import { withClient } from '../support/database.ts'
import { withoutGuards } from '../verification/trueLog.ts'
import { scopeOf, usePlatform } from './fixture.ts'

const { broker, platform, fill } = usePlatform('signed')
const NAME = 'example.com/ingest'
const [first, second, third] = [1, 2, 3].map((number) => testKey(NAME, number)) as [
  SigningKey,
  SigningKey,
  SigningKey,
]
const WEEK_MS = 7 * 24 * 3_600_000

/** As if nothing had ever signed: each test is another installation. */
beforeEach(() =>
  withClient(platform.database.adminUrl, async (client) => {
    await client.query('alter table signing_keys disable trigger reject_change')
    await client.query('delete from signing_keys')
    await client.query('alter table signing_keys enable always trigger reject_change')
  }),
)

async function checkpointWith(
  topic: string,
  keys: readonly SigningKey[],
  request: { readonly partition?: number; readonly offset?: string } = {},
): Promise<Checkpoint> {
  const { id } = await storeCheckpoint(
    { ...platform.deps, signing: { keys, overlapMs: WEEK_MS } },
    { checkpointId: randomUUID(), request: { topic, ...request }, requestedBy: 'test' },
  )
  const stored = await platform.store.checkpoints.getCheckpoint(id)
  if (stored === null) throw new Error('it was not stored')
  return stored
}

const signersOf = ({ positions }: Checkpoint, known: readonly SigningKey[] = [first, second, third]) =>
  positions.map(({ note }) =>
    taken(openCheckpoint(note ?? '', { keys: known.map((key) => key.verifierKey) })).signedBy.map(
      ({ keyId }) => keyId,
    ),
  )

const keyIds = (...keys: readonly SigningKey[]) => keys.map((key) => key.verifierKey.keyId)

async function aLog(count = 700): Promise<string> {
  const topic = await broker.makeTopic()
  await fill({ topic, count })
  return topic
}

const plan = (topic: string, checkpointId: string) =>
  planReplay(platform.deps, scopeOf(), {
    replayId: randomUUID(),
    request: { topic, checkpointId },
    requestedBy: 'test',
  })

it('signs, per log, origin, size and root of what it stores', async () => {
  const topic = await broker.makeTopic(2)
  await fill({ topic, partition: 0, count: 300 })
  await fill({ topic, partition: 1, from: 50n, count: 7 })
  const checkpoint = await checkpointWith(topic, [first])
  const logs = await platform.store.reader.logsOf(topic)
  for (const [index, { note, size, rootHash }] of checkpoint.positions.entries()) {
    const opened = taken(openCheckpoint(note ?? '', { keys: [first.verifierKey] }))
    const log = logs[index]
    expect(opened).toMatchObject({
      origin: `${NAME}/${topic}/${index}/${log?.identity.topicId}${index === 1 ? '/1@50' : ''}`,
      size,
      root: rootHash,
    })
  }
  expect(checkpoint.positions.map(({ size }) => size)).toEqual([300n, 7n])
})

it('names an incarnation that is not the first in the origin', async () => {
  const topic = await aLog(10)
  const { writer } = platform.store
  const closed = await writer.findLog(topic, 0)
  if (closed === null) throw new Error('no log')
  const { topicId } = closed.identity
  await writer.openIncarnation(closed, { topicId, startOffset: closed.startOffset }, async () => topicId)
  const { positions } = await checkpointWith(topic, [first])
  expect(positions[0]?.note).toMatch(new RegExp(`^${NAME}/${topic}/0/${topicId}/2@0\n0\n`))
})

it('shows who signed, and keeps every key with its period', async () => {
  const topic = await aLog(5)
  const make = (keys: readonly SigningKey[]) =>
    storeCheckpoint(
      { ...platform.deps, signing: { keys, overlapMs: WEEK_MS } },
      { checkpointId: randomUUID(), request: { topic }, requestedBy: 'test' },
    )
  expect((await make([])).positions[0]?.signedBy).toEqual([])
  expect((await make([first])).positions[0]?.signedBy).toEqual([`${NAME}+${first.verifierKey.keyId}`])
  const both = [first, second].map(({ verifierKey: { keyId } }) => `${NAME}+${keyId}`)
  expect((await make([first, second])).positions[0]?.signedBy).toEqual(both)
  const { periods } = await platform.store.signingKeys.keyState()
  expect(periods.map(({ key }) => key.text)).toEqual([first.verifierKey.text, second.verifierKey.text])
  const [old, next] = periods
  expect(old?.untilMs).toBe((next?.fromMs ?? 0) + WEEK_MS)
  expect(next?.untilMs).toBe(null)
})

it('rotates: the old key, both, the new one, each to be checked with the keys of its time', async () => {
  const topic = await aLog()
  const old = await checkpointWith(topic, [first])
  const both = await checkpointWith(topic, [first, second])
  const next = await checkpointWith(topic, [second])
  const stolen = await checkpointWith(topic, [third])
  expect([old, both, next, stolen].flatMap((each) => signersOf(each))).toEqual([
    keyIds(first),
    keyIds(first, second),
    keyIds(second),
    keyIds(third),
  ])
  expect(signersOf(both, [second])).toEqual([keyIds(second)])
  for (const { id } of [old, both, next, stolen]) expect((await plan(topic, id)).logs).toHaveLength(1)
  // The second key was taken away at once: what it signs afterwards is nobody's word.
  await expect(checkpointWith(topic, [second])).rejects.toMatchObject({ code: 'SIGNING_KEY_MISSING' })
  // Were it in the table all the same, it is said that the key is one of ours, and that its time was over.
  const { periods } = await platform.store.signingKeys.keyState()
  const [log] = await platform.store.reader.logsOf(topic)
  const [position] = next.positions
  if (log === undefined || position === undefined) throw new Error('there is no log')
  const { note, size, rootHash: root } = position
  const late = { note: note ?? '', log: nameOf(log), size, root, signedAtMs: stolen.createdAt.getTime() }
  expect(openStoredNote(late, periods)).toMatchObject({
    detail: `no key of its time has signed it, only ${NAME}+${second.verifierKey.keyId}, which did not sign then`,
  })
})

it('records one beginning of a key, whoever comes first', async () => {
  const topic = await aLog(5)
  await Promise.all(Array.from({ length: 6 }, () => checkpointWith(topic, [first, second])))
  const { periods } = await platform.store.signingKeys.keyState()
  expect(periods).toHaveLength(2)
})

it('stores unsigned while nobody ever signed, and refuses to afterwards', async () => {
  const topic = await aLog()
  const unsigned = await checkpointWith(topic, [])
  expect(unsigned.positions[0]?.note).toBe(null)
  expect((await plan(topic, unsigned.id)).logs).toHaveLength(1)
  await checkpointWith(topic, [first])
  await expect(checkpointWith(topic, [])).rejects.toMatchObject({ code: 'SIGNING_KEY_MISSING' })
  await expect(checkpointWith(topic, [testKey('example.org/other', 1)])).rejects.toMatchObject({
    code: 'SIGNING_KEY_REFUSED',
    message: expect.not.stringContaining('PRIVATE'),
  })
  // Made before the first key: nothing is expected of it.
  expect((await plan(topic, unsigned.id)).logs).toHaveLength(1)
})

it('refuses to replay from a checkpoint whose note does not say what its row says', async () => {
  const topic = await aLog()
  const good = await checkpointWith(topic, [first], { partition: 0, offset: '500' })
  const [position] = good.positions
  if (position === undefined || position.note === null) throw new Error('it is not signed')
  const origin = position.note.split('\n')[0] ?? ''
  const sign = (body: { origin?: string; size?: bigint; root?: typeof position.rootHash }, key = first) =>
    signCheckpoint({ origin, size: position.size, root: position.rootHash, extensions: [], ...body }, [key])
  const stored = async (change: Partial<CheckpointPosition>) => {
    const id = randomUUID()
    const { topic: of, partition, offset, createdBy, createdAt } = good
    const positions = [{ ...position, ...change }]
    await platform.store.checkpoints.insertCheckpoint({
      id,
      topic: of,
      partition,
      offset,
      createdBy,
      createdAt: new Date(createdAt.getTime() + 60_000),
      positions,
    })
    return plan(topic, id)
  }
  expect((await stored({})).logs).toHaveLength(1)
  const forged: [Partial<CheckpointPosition>, string][] = [
    [{ note: null }, 'it carries no signature'],
    [{ note: position.note.replace('\n500\n', '\n501\n') }, 'the signature'],
    [{ note: sign({ size: 499n }) }, 'another size or root'],
    [{ note: sign({ origin: `${origin}/2` }) }, 'it is a checkpoint of'],
    [{ note: sign({}, second) }, 'no known key has signed it'],
    [{ note: 'x' }, 'a note has'],
  ]
  for (const [change, why] of forged)
    await expect(stored(change), why).rejects.toMatchObject({
      code: 'CHECKPOINT_MISMATCH',
      message: expect.stringContaining(why),
    })
})

it('refuses to replay when the present root does not follow from the checkpoint', async () => {
  const topic = await aLog()
  const { id } = await checkpointWith(topic, [first], { partition: 0, offset: '200' })
  expect((await plan(topic, id)).logs).toHaveLength(1)
  // Behind the checkpoint: its own root is still what the stored nodes give.
  await withClient(platform.database.adminUrl, async (client) => {
    await client.query('alter table log_nodes disable trigger reject_change')
    await client.query(
      `update log_nodes set hash = sha256(hash)
        where log_id = (select id from partition_logs where topic = $1) and level = 8 and index = 1`,
      [topic],
    )
    await client.query('alter table log_nodes enable always trigger reject_change')
  })
  await expect(plan(topic, id)).rejects.toMatchObject({
    code: 'CHECKPOINT_MISMATCH',
    message: expect.stringContaining('does not follow from it'),
  })
})

/** As the database's superuser, whom nothing holds up for ever. */
const damage = (texts: readonly string[], topic: string): Promise<void> =>
  withClient(platform.database.adminUrl, async (client) => {
    await withoutGuards(client, async () => {
      for (const text of texts) {
        const { rowCount } = await client.query(text, [topic])
        if (rowCount === 0) throw new Error(`nothing was changed by: ${text}`)
      }
    })
  })
const ofTopic = '(select id from partition_logs where topic = $1)'

it('signs no second history: neither of changed rows nor of a log that was cut back and filled again', async () => {
  const refused = { code: 'CHECKPOINT_MISMATCH' }
  const changed = await aLog(300)
  await checkpointWith(changed, [first])
  const last = `(select max(leaf_index) from events where log_id = ${ofTopic})`
  await damage(
    [`update events set leaf_hash = sha256(leaf_hash) where log_id = ${ofTopic} and leaf_index = ${last}`],
    changed,
  )
  await expect(checkpointWith(changed, [first])).rejects.toMatchObject(refused)
  await expect(checkpointWith(changed, [first], { partition: 0, offset: '300' })).rejects.toMatchObject(
    refused,
  )

  // Consistent in itself: only the signed note tells of the log that it was.
  const refilled = await aLog(300)
  await checkpointWith(refilled, [first], { partition: 0, offset: '200' })
  await checkpointWith(refilled, [first])
  await damage(
    [
      `delete from events where log_id = ${ofTopic}`,
      `delete from log_nodes where log_id = ${ofTopic}`,
      `update partition_logs set next_offset = start_offset, size = 0, frontier = '' where topic = $1`,
    ],
    refilled,
  )
  await fill({
    topic: refilled,
    count: 400,
    specOf: (at) => ({ offset: at, timestamp: at, value: Buffer.from('another history') }),
  })
  await expect(checkpointWith(refilled, [first])).rejects.toMatchObject(refused)
})

it('goes on signing what only grew, below the newest checkpoint too', async () => {
  const topic = await aLog(300)
  await checkpointWith(topic, [first])
  await fill({ topic, from: 300n, count: 50 })
  await checkpointWith(topic, [first])
  const { positions } = await checkpointWith(topic, [first], { partition: 0, offset: '20' })
  expect(positions[0]?.size).toBe(20n)
})

/** Each stored note with the keys of the time that stands beside it, as every verifier opens it; what is wrong with them. */
async function unproven(topic: string): Promise<readonly string[]> {
  const { signingKeys, reader } = platform.store
  const { periods } = await signingKeys.keyState()
  const [log] = await reader.logsOf(topic)
  if (log === undefined) throw new Error('there is no log')
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query(
      `select p.note, p.size, p.root_hash, (extract(epoch from c.created_at) * 1000)::bigint as signed_ms
         from checkpoints c join checkpoint_positions p on p.checkpoint_id = c.id where c.topic = $1`,
      [topic],
    ),
  )
  expect(rows.length).toBeGreaterThan(0)
  return rows.flatMap(({ note, size, root_hash, signed_ms }) => {
    const root = hashFromBytes(root_hash)
    const stored = { note, log: nameOf(log), size: BigInt(size), root, signedAtMs: Number(signed_ms) }
    const opened = openStoredNote(stored, periods)
    return opened.ok ? [] : [opened.detail]
  })
}

describe('a key that is changed in an emergency', () => {
  it('begins behind the last signature of the old one, in whatever millisecond that was', async () => {
    const topic = await aLog(20)
    const { id } = await checkpointWith(topic, [first])
    // The clock was put back since: the same as the same millisecond, and hard to miss.
    await withClient(platform.database.adminUrl, (client) =>
      withoutGuards(client, async () => {
        await client.query(
          "update checkpoints set created_at = created_at + interval '20 min' where id = $1",
          [id],
        )
        // Of a time that no clock goes back by: it keeps no key from beginning.
        await client.query(
          `insert into checkpoints (id, topic, created_at, created_by) values ($1, 'forged', 'infinity', 'forger')`,
          [randomUUID()],
        )
      }),
    )
    const anew = await checkpointWith(topic, [second])
    expect(signersOf(anew)).toEqual([keyIds(second)])
    expect(anew.createdAt.getTime()).toBeLessThan(Date.now() + 3_600_000)
    expect(await unproven(topic)).toEqual([])
    const { periods } = await platform.store.signingKeys.keyState()
    expect(findPeriodFlaw(periods)).toBe(null)
    expect(periods[0]?.untilMs).toBe(periods[1]?.fromMs)
    await withClient(platform.database.adminUrl, (client) =>
      withoutGuards(client, () =>
        client.query("update checkpoints set created_at = now() - interval '1 min' where created_at > now()"),
      ),
    )
  })

  it.each<[string, readonly SigningKey[], string | null]>([
    ['without an overlap, and is not stored', [second], 'SIGNING_KEY_MISSING'],
    ['with one, and is signed anew', [first, second], null],
  ])('while a checkpoint of the old one is on its way: %s', async (_, keys, code) => {
    const topic = await aLog(20)
    await checkpointWith(topic, [first])
    const { checkpoints } = platform.store
    let insertions = 0
    const deps = {
      ...platform.deps,
      signing: { keys: [first], overlapMs: 0 },
      checkpoints: {
        ...checkpoints,
        insertCheckpoint: async (checkpoint: Parameters<typeof checkpoints.insertCheckpoint>[0]) => {
          // Behind the choice of the keys, before the commit: another process begins with a new key.
          if (++insertions === 1) await checkpointWith(topic, keys)
          return await checkpoints.insertCheckpoint(checkpoint)
        },
      },
    }
    const checkpointId = randomUUID()
    const storing = storeCheckpoint(deps, { checkpointId, request: { topic }, requestedBy: 'test' })
    const ended = await storing.then(
      () => null,
      (error: unknown) => (error instanceof ServiceError ? error.code : String(error)),
    )
    expect([ended, insertions]).toEqual([code, code === null ? 2 : 1])
    expect((await checkpoints.getCheckpoint(checkpointId)) === null).toBe(code !== null)
    expect(await unproven(topic)).toEqual([])
  })

  it('under load, with checkpoints in every millisecond', { timeout: 30_000 }, async () => {
    const topic = await aLog(20)
    const rounds: SigningKey[] = [5, 6, 7, 8, 9, 10].map((number) => testKey(NAME, number))
    for (const [index, key] of rounds.entries()) {
      const ended: unknown[] = []
      const busy = Array.from({ length: 4 }, async () => {
        for (;;) await checkpointWith(topic, [key])
      }).map((work) => work.catch((error: unknown) => ended.push(error)))
      await sleep(150)
      const next = rounds[index + 1]
      if (next === undefined) await checkpointWith(topic, [testKey(NAME, 11)])
      else await checkpointWith(topic, [next])
      await Promise.all(busy)
      for (const error of ended) expect(error).toMatchObject({ code: 'SIGNING_KEY_MISSING' })
    }
    expect(await unproven(topic)).toEqual([])
  })
})
