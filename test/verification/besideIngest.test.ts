/** Whole rows that the application's role adds beside ingest, in the holes of a log: the genuine rows are not blamed. */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hashToBytes } from '../../src/domain/hash.ts'
import { leafIndex } from '../../src/domain/model.ts'
import { progressToJson } from '../../src/domain/verification/progress.ts'
import { type OpenLog, useStore } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { trueEvent, withoutGuards } from './trueLog.ts'
import { logOf, verifyWhole } from './verifyWhole.ts'

const fixture = useStore('besideingest')
/** Leaf n lies at the offset 10n. */
const LEAVES = 300

const sparse = (): Promise<OpenLog> =>
  logOf(
    fixture.store,
    Array.from({ length: LEAVES }, (_, index) => trueEvent(BigInt(index) * 10n)),
    BigInt(LEAVES) * 10n,
  )

/** Everything about it follows from its bytes; only the log has no such record. */
async function insert(open: OpenLog, leaf: number, at: number): Promise<void> {
  const { records, decoded, leaf: hash } = trueEvent(BigInt(at))
  if (decoded.kind !== 'event') throw new Error('no event')
  const part = (start: number | undefined, end: number | undefined) =>
    start === undefined || start < 0 ? null : records.bytes.subarray(start, end)
  await withClient(fixture.database.appUrl, (client) =>
    client.query(
      `insert into events select $1, $2, $3, $4, ingested_at, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
         from events where log_id = $5 and leaf_index = $2 and "offset" = $2 * 10`,
      [
        ...[at, leaf, decoded.timestampMs, records.timestamps[0], open.log.logId],
        ...[decoded.id, decoded.type, decoded.source, decoded.tenantId, decoded.classification],
        decoded.policyTags,
        part(records.keyStarts[0], records.keyEnds[0]),
        part(records.valueStarts[0], records.valueEnds[0]),
        part(records.headerStarts[0], records.headerEnds[0]),
        ...[hashToBytes(decoded.contentHash), hashToBytes(hash)],
      ],
    ),
  )
}

async function checkpoint(open: OpenLog, size: bigint): Promise<void> {
  const { logId, identity } = open.log
  const rootHash = await fixture.store.reader.rootAt(logId, leafIndex(size))
  const place = { logId, partition: 0, offset: open.position.nextOffset, size: leafIndex(size), rootHash }
  await fixture.store.checkpoints.insertCheckpoint({
    ...{ id: randomUUID(), topic: identity.topic, partition: null, offset: null, createdBy: 'ada' },
    positions: [{ ...place, note: null }],
  })
}

const damage = (text: string, open: OpenLog): Promise<void> =>
  withClient(fixture.database.adminUrl, (client) =>
    withoutGuards(client, () => client.query(text, [open.log.logId])),
  )

/** Kind, leaf and offset of all that was found; the same in slices. */
async function found(open: OpenLog): Promise<readonly (readonly (string | null)[])[]> {
  const { findings } = await verifyWhole(fixture.store, open)
  expect(progressToJson(await verifyWhole(fixture.store, open, 1)).findings).toEqual(findings)
  return findings.kept.map(({ kind, leafIndex: leaf, offset }) => [kind, leaf, offset])
}

describe('two strangers are named, and neither the genuine rows nor the log nor its checkpoint', () => {
  it.each([
    ['both before the genuine rows', 10, 95, 20, 195],
    ['both behind them', 10, 105, 20, 205],
    ['one before, one behind', 10, 95, 20, 205],
    ['in the tail', 270, 2_695, 280, 2_795],
    ['in the tail, on both sides', 270, 2_695, 280, 2_805],
    ['both for one leaf', 10, 95, 10, 105],
  ])('%s', async (_, leaf, at, otherLeaf, otherAt) => {
    const open = await sparse()
    await checkpoint(open, BigInt(LEAVES))
    await insert(open, leaf, at)
    await insert(open, otherLeaf, otherAt)
    expect(await found(open)).toEqual([
      ['inserted', String(leaf), String(at)],
      ['inserted', String(otherLeaf), String(otherAt)],
    ])
  })
})

it('so are ten of them on both sides, and any number that stand before the genuine rows', async () => {
  const open = await sparse()
  for (let leaf = 1; leaf <= 10; leaf++) await insert(open, leaf, leaf * 10 + (leaf % 3 === 0 ? 4 : -4))
  const found10 = await found(open)
  expect(found10.map(([kind, leaf, at]) => [kind, Number(at) - 10 * Number(leaf)])).toEqual(
    Array.from({ length: 10 }, (_, i) => ['inserted', (i + 1) % 3 === 0 ? 4 : -4]),
  )
  const other = await sparse()
  for (let leaf = 1; leaf <= 14; leaf++) await insert(other, leaf, leaf * 10 - 5)
  expect((await verifyWhole(fixture.store, other)).findings.counts).toEqual({ inserted: '14' })
})

it('where the node is gone a checkpoint tells which rows are genuine', async () => {
  const open = await sparse()
  await checkpoint(open, 200n)
  await insert(open, 10, 95)
  await insert(open, 20, 205)
  await damage('delete from log_nodes where log_id = $1', open)
  expect(await found(open)).toEqual([
    ['inserted', '10', '95'],
    ['inserted', '20', '205'],
    ['node', '0', null],
  ])
})

it('where nothing tells, the leaf is named with both offsets, and neither row is called a stranger', async () => {
  const open = await sparse()
  await insert(open, 10, 95)
  await damage('delete from events where log_id = $1 and leaf_index = 30', open)
  const { findings } = await verifyWhole(fixture.store, open)
  expect(findings.counts).toEqual({ contested: '1', missing: '1' })
  expect(findings.kept).toMatchObject([
    { kind: 'contested', leafIndex: '10', offset: null, detail: expect.stringContaining('95 and 100') },
    { kind: 'missing', leafIndex: '30' },
  ])

  // More ways to choose than are tried.
  const many = await sparse()
  for (let leaf = 1; leaf <= 11; leaf++) await insert(many, leaf, leaf * 10 + (leaf % 2 === 0 ? 4 : -4))
  expect((await verifyWhole(fixture.store, many)).findings.counts).toEqual({ contested: '11' })
})
