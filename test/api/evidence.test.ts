import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storeCheckpoint } from '../../activities/storeCheckpoint.ts'
import { cosign, witnessKey } from '../../src/domain/evidence/cosignature.ts'
import { keyPairOf } from '../../src/domain/evidence/ed25519.ts'
import { formatNote, parseNote } from '../../src/domain/evidence/note.ts'
import type { SigningKey } from '../../src/domain/evidence/noteKeys.ts'
import { parseTlogProof } from '../../src/domain/evidence/tlogProof.ts'
import { type Verified, verifyEvidence } from '../../src/domain/evidence/verifyEvidence.ts'
import { createEvidenceOperations } from '../../src/evidence/operations.ts'
import { usePlatform } from '../activities/fixture.ts'
import { taken, testKey } from '../domain/evidence/keys.ts'
import { idOf } from '../store/entries.ts'
import { withClient } from '../support/database.ts'
import { type Edge, startEdge } from './edge.ts'

const { broker, platform, fill } = usePlatform('evidence')
const key = testKey('example.com/ingest', 1)
let edge: Edge

beforeAll(async () => {
  const { reader, queries, checkpoints, signingKeys } = platform.store
  const operations = createEvidenceOperations({
    reader,
    checkpoints,
    signingKeys,
    notes: platform.store.notes,
    instanceName: 'unsigned',
  })
  edge = await startEdge({ operations, queries: { ...queries, ...checkpoints, ...signingKeys } })
})
afterAll(() => edge.close())

const checkpointOf = async (
  topic: string,
  request: { readonly partition?: number; readonly offset?: string } = {},
  keys: readonly SigningKey[] = [key],
): Promise<string> => {
  const deps = { ...platform.deps, signing: { keys, overlapMs: 0 } }
  const input = { checkpointId: randomUUID(), request: { topic, ...request }, requestedBy: 'test' }
  return (await storeCheckpoint(deps, input)).id
}

async function get(
  path: string,
): Promise<{ readonly status: number; readonly type: string | null; readonly text: string }> {
  const answer = await fetch(`${edge.url}${path}`)
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
}

async function refusal(path: string): Promise<string> {
  const { status, type, text } = await get(path)
  expect(type).toBe('application/problem+json; charset=utf-8')
  expect(text).not.toMatch(/\.ts|stack|at .*\(/)
  return `${status} ${JSON.parse(text).code}`
}

function verified(file: string, event?: string): Verified {
  const trust = { keys: [key.verifierKey] }
  return taken(
    verifyEvidence({
      file: Buffer.from(file),
      trust,
      ...(event !== undefined && { event: Buffer.from(event) }),
    }),
  )
}

/** A topic of its own; offsets are the numbers of the events' ids in each. */
async function aTopic(count: number, from = 0n): Promise<string> {
  const topic = await broker.makeTopic()
  await fill({ topic, from, count })
  return topic
}

const at = (topic: string, offset: number): string => `/events/${idOf(offset)}/proof?topic=${topic}`

describe('GET /events/:id/proof', () => {
  it('proves, to who has nothing but the key, that the newest checkpoint covers the event', async () => {
    const topic = await aTopic(700)
    await checkpointOf(topic, { partition: 0, offset: '600' })
    await checkpointOf(topic)
    const newest = await checkpointOf(topic, { partition: 0, offset: '650' })
    const answer = await get(at(topic, 649))
    const shown = verified(answer.text)
    expect(answer).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
    expect(shown).toMatchObject({
      what: 'inclusion',
      checkpoint: { size: 650n },
      record: { leafIndex: 649n, content: { kind: 'record', offset: 649n } },
    })
    const note = await get(`/checkpoint/${newest}/note`)
    expect(answer.text.endsWith(note.text)).toBe(true)
    // Not covered by the newest one, but by the one before.
    expect(verified((await get(at(topic, 651))).text)).toMatchObject({ checkpoint: { size: 700n } })
  })

  it('carries the record, which is also to be had by itself', async () => {
    const topic = await aTopic(300)
    await checkpointOf(topic)
    const record = await get(`/events/${idOf(280)}/record?topic=${topic}`)
    expect(record).toMatchObject({ status: 200, type: 'application/json; charset=utf-8' })
    expect(verified(record.text)).toMatchObject({ what: 'records', count: 1 })
    const proof = await get(at(topic, 280))
    expect(`${taken(parseTlogProof(proof.text)).extra}\n`).toBe(record.text)
    expect(verified(proof.text, record.text)).toMatchObject({ what: 'inclusion' })
    const origin = record.text.match(/"origin":"([^"]+)"/)?.[1]
    expect(origin).toMatch(new RegExp(`^example.com/ingest/${topic}/0/[0-9a-f-]{36}$`))
    expect(Object.keys(JSON.parse(record.text))).toContain('ingestedAt')
  })

  it('leaves out a record that the readers of others could not take', async () => {
    const topic = await broker.makeTopic()
    const value = Buffer.alloc(50_000, 'x')
    await fill({ topic, count: 3, specOf: (offset) => ({ offset, value }) })
    await checkpointOf(topic)
    const proof = await get(at(topic, 1))
    expect(taken(parseTlogProof(proof.text)).extra).toBe(null)
    const record = await get(`/events/${idOf(1)}/record?topic=${topic}`)
    expect(verified(proof.text, record.text)).toMatchObject({ what: 'inclusion', record: { leafIndex: 1n } })
  })

  it('takes the checkpoint that was named, and refuses one that says nothing about the event', async () => {
    const topic = await aTopic(300)
    const other = await aTopic(10)
    const early = await checkpointOf(topic, { partition: 0, offset: '100' })
    await checkpointOf(topic)
    const foreign = await checkpointOf(other)
    expect(verified((await get(`${at(topic, 99)}&checkpoint=${early}`)).text)).toMatchObject({
      checkpoint: { size: 100n },
    })
    const refused: [string, string][] = [
      [`${at(topic, 100)}&checkpoint=${early}`, '409 NOT_COVERED'],
      [`${at(topic, 5)}&checkpoint=${foreign}`, '409 CHECKPOINT_FOREIGN'],
      [`${at(topic, 5)}&checkpoint=${randomUUID()}`, '404 CHECKPOINT_NOT_FOUND'],
      [`${at(topic, 5)}&checkpoint=latest`, '400 BAD_REQUEST'],
      [`${at(topic, 5)}&size=7`, '400 BAD_REQUEST'],
      [`${at(topic, 5)}&partition=-1`, '400 BAD_REQUEST'],
      [`/events/${randomUUID()}/proof`, '404 EVENT_NOT_FOUND'],
      [`/events/${randomUUID()}/record`, '404 EVENT_NOT_FOUND'],
      ['/events/17/proof', '400 BAD_REQUEST'],
      [`/events/${idOf(5)}/proof`, '409 EVENT_AMBIGUOUS'],
      [`/events/${idOf(5)}/record`, '409 EVENT_AMBIGUOUS'],
    ]
    for (const [path, code] of refused) expect([path, await refusal(path)]).toEqual([path, code])
  })

  it('says that nothing covers an event that no signed checkpoint reaches', async () => {
    const topic = await aTopic(10)
    expect(await refusal(at(topic, 5))).toBe('409 NOT_COVERED')
    await checkpointOf(topic, { partition: 0, offset: '5' })
    expect(await refusal(at(topic, 5))).toBe('409 NOT_COVERED')
    expect((await get(at(topic, 4))).status).toBe(200)
  })

  it('hands out nothing about a log that was tampered with', async () => {
    const topic = await aTopic(600)
    const checkpoint = await checkpointOf(topic)
    const change = (...statements: readonly string[]) =>
      withClient(platform.database.adminUrl, async (client) => {
        for (const statement of statements) await client.query(statement)
      })
    await change(
      'alter table log_nodes disable trigger user',
      'alter table checkpoint_positions disable trigger user',
      'alter table events disable trigger user',
      `do $$ declare name text; begin
         for name in select inhrelid::regclass::text from pg_inherits loop
           execute format('alter table %s disable trigger user', name);
         end loop; end $$`,
    )
    const log = `(select id from partition_logs where topic = '${topic}')`
    await change(`update events set value = 'x' where log_id = ${log} and "offset" = 3`)
    expect(await refusal(at(topic, 3))).toBe('409 LOG_DAMAGED')
    expect(await refusal(`/events/${idOf(3)}/record?topic=${topic}`)).toBe('409 LOG_DAMAGED')
    await change(`update log_nodes set hash = sha256(hash) where log_id = ${log} and index = 1`)
    expect(await refusal(at(topic, 4))).toBe('409 CHECKPOINT_MISMATCH')
    await change(`delete from log_nodes where log_id = ${log} and index = 1`)
    expect(await refusal(at(topic, 4))).toBe('409 LOG_DAMAGED')
    await change(`update checkpoint_positions set size = 599 where checkpoint_id = '${checkpoint}'`)
    expect(await refusal(at(topic, 300))).toBe('409 CHECKPOINT_MISMATCH')
  })
})

describe('GET /checkpoints/consistency', () => {
  const path = (from: string, to: string, more = '') =>
    `/checkpoints/consistency?from=${from}&to=${to}${more}`

  it('proves that the newer log begins with the older one', async () => {
    const topic = await aTopic(300)
    const older = await checkpointOf(topic)
    await fill({ topic, count: 400 })
    const newer = await checkpointOf(topic)
    const proof = await get(path(older, newer))
    expect(proof).toMatchObject({ status: 200, type: 'text/plain; charset=utf-8' })
    expect(verified(proof.text)).toMatchObject({
      what: 'consistency',
      old: { size: 300n },
      checkpoint: { size: 700n },
    })
    expect(verified((await get(path(older, older))).text)).toMatchObject({ old: { size: 300n } })
  })

  it('is of the partition that was asked for', async () => {
    const topic = await broker.makeTopic(2)
    for (const partition of [0, 1]) await fill({ topic, partition, count: 20 })
    const both = await checkpointOf(topic)
    await fill({ topic, partition: 1, count: 5 })
    const again = await checkpointOf(topic)
    expect(await refusal(path(both, again))).toBe('400 BAD_REQUEST')
    expect(verified((await get(path(both, again, '&partition=1'))).text)).toMatchObject({
      old: { size: 20n },
      checkpoint: { size: 25n },
    })
    const one = await checkpointOf(topic, { partition: 0 })
    expect(verified((await get(path(both, one))).text)).toMatchObject({ checkpoint: { size: 20n } })
    expect(await refusal(path(both, one, '&partition=1'))).toBe('409 CHECKPOINT_FOREIGN')
  })

  it('refuses what there is no proof of', async () => {
    const topic = await aTopic(50)
    const none = await checkpointOf(topic, { partition: 0, offset: '0' })
    const some = await checkpointOf(topic, { partition: 0, offset: '20' })
    const all = await checkpointOf(topic)
    const other = await checkpointOf(await aTopic(9))
    const refused: [string, string][] = [
      [path(all, some), '409 CHECKPOINTS_REVERSED'],
      [path(none, all), '409 CHECKPOINT_EMPTY'],
      [path(some, randomUUID()), '404 CHECKPOINT_NOT_FOUND'],
      [path(randomUUID(), some), '404 CHECKPOINT_NOT_FOUND'],
      [path(other, all), '409 CHECKPOINT_FOREIGN'],
      [path(some, all, '&partition=4'), '409 CHECKPOINT_FOREIGN'],
      [path(some, 'x'), '400 BAD_REQUEST'],
      ['/checkpoints/consistency', '400 BAD_REQUEST'],
    ]
    for (const [asked, code] of refused) expect([asked, await refusal(asked)]).toEqual([asked, code])
  })

  it('does not join two incarnations', async () => {
    const topic = await aTopic(30)
    const before = await checkpointOf(topic)
    const { writer } = platform.store
    const closed = await writer.findLog(topic, 0)
    if (closed === null) throw new Error('no log')
    const { topicId } = closed.identity
    await writer.openIncarnation(closed, { topicId, startOffset: closed.startOffset }, async () => topicId)
    await fill({ topic, count: 40 })
    expect(await refusal(path(before, await checkpointOf(topic)))).toBe('409 CHECKPOINT_FOREIGN')
    // The proof of an event of the older log is still to be had.
    expect(verified((await get(`${at(topic, 3)}&incarnation=1`)).text)).toMatchObject({
      checkpoint: { size: 30n },
    })
    expect(verified((await get(`${at(topic, 3)}&incarnation=2`)).text)).toMatchObject({
      checkpoint: { size: 40n, origin: expect.stringMatching(/\/2@\d+$/) },
    })
  })
})

it('a proof carries the cosignatures of witnesses', async () => {
  const topic = await broker.makeTopic()
  await fill({ topic, count: 20 })
  const id = await checkpointOf(topic)
  const [position] = (await platform.store.checkpoints.getCheckpoint(id))?.positions ?? []
  if (position === undefined || position.note === null) throw new Error('it is not signed')
  const { logId, size, note } = position
  const { text } = taken(parseNote(note))
  const name = 'witness.example/w1'
  const line = cosign(text, name, Buffer.alloc(32, 9), 1_679_315_147n)
  const cosignatures = formatNote({ text, signatures: [line] }).slice(text.length + 1)
  const sent = { logId, checkpointId: id, size, note }
  await platform.store.notes.recordPlacement('witness', sent, { outcome: 'held', cosignatures })
  const { rows } = await withClient(platform.database.adminUrl, (client) =>
    client.query<{ id: string }>('select id from events where log_id = $1 and "offset" = 7', [logId]),
  )
  const proof = await get(`/events/${rows[0]?.id}/proof?topic=${topic}`)
  const witness = witnessKey(name, keyPairOf(Buffer.alloc(32, 9)).publicKey)
  const trust = { keys: [key.verifierKey], witnesses: [witness] }
  const shown = taken(verifyEvidence({ file: Buffer.from(proof.text), trust }))
  expect(shown).toMatchObject({
    what: 'inclusion',
    checkpoint: { cosignedBy: [{ timestamp: 1_679_315_147n }] },
  })
})
