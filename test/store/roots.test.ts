import { expect, test } from 'vitest'
import { emptyRoot, hashNode } from '../../src/domain/merkle.ts'
import { type Hash, type LogEntry, leafIndex, offset } from '../../src/domain/model.ts'
import { withClient } from '../support/database.ts'
import { eventEntries, gapEntry, leafOf, recordEntry } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('roots')

/** RFC 6962 §2.1, by definition. */
function naiveRoot(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leaves[0] as Hash
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return hashNode(naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)))
}

test('roots and sizes at any past offset agree with the leaves, dead letters and gaps included', async () => {
  const { store } = fixture
  const open = await openLog(store, 50n)
  const leaves: Hash[] = []
  const starts: bigint[] = []
  let at = 50n
  for (let batch = 0; batch < 5; batch++) {
    const entries: LogEntry[] = []
    for (let i = 0; i < 301; i++) {
      starts.push(at)
      leaves.push(leafOf(at))
      if (i % 50 === 20) {
        entries.push(gapEntry(at, at + 30n))
        at += 30n
      } else if (i % 50 === 30) {
        entries.push(recordEntry({ offset: at }, { kind: 'rejected', code: 'SCHEMA', detail: 'no' }))
        at += 1n
      } else {
        entries.push(recordEntry({ offset: at }))
        at += 1n
      }
    }
    await appendTo(store, open, entries, at)
  }
  const id = open.log.logId
  for (const size of [0, 1, 2, 3, 20, 255, 256, 257, 511, 512, 513, 700, 1_024, 1_280, 1_500, 1_505])
    expect(await store.reader.rootAt(id, leafIndex(BigInt(size))), `size ${size}`).toBe(
      naiveRoot(leaves.slice(0, size)),
    )
  for (const probe of [0n, 50n, 51n, 70n, 71n, 85n, 99n, 100n, 400n, 521n, 522n, 523n, 900n, at - 1n, at])
    expect(await store.reader.sizeAt(id, offset(probe)), `offset ${probe}`).toBe(
      BigInt(starts.filter((start) => start < probe).length),
    )
  await expect(store.reader.rootAt(id, leafIndex(1_506n))).rejects.toMatchObject({
    code: 'OFFSET_NOT_INGESTED',
  })
  await expect(store.reader.sizeAt(id, offset(at + 1n))).rejects.toMatchObject({
    code: 'OFFSET_NOT_INGESTED',
  })
})

test('roots beyond the second stored level agree too', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const total = 70_000
  for (let from = 0; from < total; from += 10_000)
    await appendTo(store, open, eventEntries(BigInt(from), BigInt(from + 10_000)), BigInt(from + 10_000))
  const leaves = Array.from({ length: total }, (_, i) => leafOf(i))
  for (const size of [65_535, 65_536, 65_537, 69_999, 70_000])
    expect(await store.reader.rootAt(open.log.logId, leafIndex(BigInt(size)))).toBe(
      naiveRoot(leaves.slice(0, size)),
    )
})

test('missing leaves are damage, for a root and for the count that a plan is made from', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 300n), 300n)
  await withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query('select inhrelid::regclass::text as name from pg_inherits')
    for (const { name } of rows) {
      await client.query(`alter table ${name} disable trigger all`)
      await client.query(`delete from ${name} where log_id = $1 and "offset" = 280`, [open.log.logId])
    }
  })
  await expect(store.reader.rootAt(open.log.logId, leafIndex(300n))).rejects.toMatchObject({
    code: 'LOG_DAMAGED',
  })
})
