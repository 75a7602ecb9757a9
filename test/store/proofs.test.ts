import { expect, test } from 'vitest'
import { type Hash, type LeafIndex, type LogEntry, leafIndex } from '../../src/domain/model.ts'
import { verifyConsistency, verifyInclusion } from '../../src/domain/proofs.ts'
import { withClient } from '../support/database.ts'
import { eventEntries, gapEntry, leafOf, recordEntry } from './entries.ts'
import { appendTo, type OpenLog, openLog, useStore } from './fixture.ts'

const fixture = useStore('proofs')

const at = (value: number): LeafIndex => leafIndex(BigInt(value))
const rootAt = (open: OpenLog, size: number): Promise<Hash> =>
  fixture.store.reader.rootAt(open.log.logId, at(size))

async function includes(open: OpenLog, index: number, size: number, leaf: Hash): Promise<boolean> {
  const proof = await fixture.store.reader.inclusionProof(open.log.logId, at(index), at(size))
  const root = await rootAt(open, size)
  return verifyInclusion({ index: BigInt(index), size: BigInt(size), leaf, root }, proof)
}

async function follows(open: OpenLog, oldSize: number, size: number): Promise<boolean> {
  const proof = await fixture.store.reader.consistencyProof(open.log.logId, at(oldSize), at(size))
  const [oldRoot, root] = [await rootAt(open, oldSize), await rootAt(open, size)]
  return verifyConsistency({ oldSize: BigInt(oldSize), oldRoot, size: BigInt(size), root }, proof)
}

const edges = [1, 2, 3, 20, 255, 256, 257, 511, 512, 513, 700, 1_024, 1_280, 1_504, 1_505]

test('every leaf is proved under every size, and every size follows from every smaller one', async () => {
  const open = await openLog(fixture.store, 50n)
  const leaves: Hash[] = []
  let next = 50n
  for (let batch = 0; batch < 5; batch++) {
    const entries: LogEntry[] = []
    for (let i = 0; i < 301; i++) {
      leaves.push(leafOf(next))
      if (i % 50 === 20) {
        entries.push(gapEntry(next, next + 30n))
        next += 30n
      } else {
        const letter = { kind: 'rejected', code: 'SCHEMA', detail: 'no' } as const
        entries.push(recordEntry({ offset: next }, ...(i % 50 === 30 ? [letter] : [])))
        next += 1n
      }
    }
    await appendTo(fixture.store, open, entries, next)
  }
  for (const size of edges) {
    for (const index of edges.map((edge) => edge - 1).filter((edge) => edge < size))
      expect([index, size, await includes(open, index, size, leaves[index] as Hash)]).toEqual([
        index,
        size,
        true,
      ])
    for (const oldSize of edges.filter((edge) => edge <= size))
      expect([oldSize, size, await follows(open, oldSize, size)]).toEqual([oldSize, size, true])
  }
  expect(await includes(open, 700, 1_505, leaves[701] as Hash)).toBe(false)
})

test('proofs go through nodes of the second stored level', async () => {
  const open = await openLog(fixture.store)
  for (let from = 0n; from < 70_000n; from += 10_000n)
    await appendTo(fixture.store, open, eventEntries(from, from + 10_000n), from + 10_000n)
  for (const [index, size] of [
    [5, 70_000],
    [65_535, 65_536],
    [65_536, 65_537],
    [69_999, 70_000],
  ] as const)
    expect([index, size, await includes(open, index, size, leafOf(index))]).toEqual([index, size, true])
  for (const oldSize of [1, 300, 65_535, 65_536, 65_537, 69_999])
    expect([oldSize, await follows(open, oldSize, 70_000)]).toEqual([oldSize, true])
})

test('a node that is missing is damage, and what does not exist is not asked for', async () => {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, 600n), 600n)
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query('alter table log_nodes disable trigger reject_change')
    await client.query('delete from log_nodes where log_id = $1 and index = 1', [open.log.logId])
    await client.query('alter table log_nodes enable always trigger reject_change')
  })
  const { reader } = fixture.store
  await expect(reader.inclusionProof(open.log.logId, at(3), at(600))).rejects.toMatchObject({
    code: 'LOG_DAMAGED',
  })
  await expect(reader.consistencyProof(open.log.logId, at(256), at(600))).rejects.toMatchObject({
    code: 'LOG_DAMAGED',
  })
  await expect(reader.inclusionProof(open.log.logId, at(600), at(600))).rejects.toMatchObject({
    code: 'INTERNAL',
  })
})
