import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256 } from '../../src/domain/hash.ts'
import type { Decoded } from '../../src/domain/model.ts'
import { findDuplicates, type KnownEvent } from '../../src/store/duplicates.ts'
import { createStore } from '../../src/store/store.ts'
import { withClient } from '../support/database.ts'
import { accepted, eventEntries, idOf, recordEntry } from './entries.ts'
import { appendTo, openLog, useStore } from './fixture.ts'

const fixture = useStore('duplicates')

const lettersOf = (logId: number) =>
  withClient(fixture.database.adminUrl, async (client) => {
    const { rows } = await client.query(
      'select "offset", leaf_index, code, detail, value from dead_letters where log_id = $1 order by "offset"',
      [logId],
    )
    return rows
  })

test('the first of an id stays the event, in the batch and in the log', async () => {
  const { store } = fixture
  const open = await openLog(store)
  const withId = (id: number, content: string): Decoded =>
    accepted(0, { id: idOf(id), contentHash: sha256(content) })
  await appendTo(
    store,
    open,
    [
      recordEntry({ offset: 0n }, withId(1, 'a')),
      recordEntry({ offset: 1n }, withId(1, 'a')),
      recordEntry({ offset: 2n }, withId(2, 'a')),
      recordEntry({ offset: 3n }, withId(1, 'b')),
    ],
    4n,
  )
  const outcome = await appendTo(
    store,
    open,
    [recordEntry({ offset: 4n }, withId(2, 'a')), recordEntry({ offset: 5n }, withId(2, 'c'))],
    6n,
  )
  expect(outcome).toMatchObject({
    events: 0,
    deadLetters: new Map([
      ['DUPLICATE_ID', 1],
      ['ID_CONFLICT', 1],
    ]),
  })
  const letters = await lettersOf(open.log.logId)
  expect(letters.map(({ offset, leaf_index, code }) => [offset, leaf_index, code])).toEqual([
    ['1', '1', 'DUPLICATE_ID'],
    ['3', '3', 'ID_CONFLICT'],
    ['4', '4', 'DUPLICATE_ID'],
    ['5', '5', 'ID_CONFLICT'],
  ])
  expect(letters.map(({ detail }) => /at offset (\d+)/.exec(detail)?.[1])).toEqual(['0', '0', '2', '2'])
  expect(letters[0].value.toString()).toBe('{"offset":"1"}')
})

test('one id may be in two logs', async () => {
  const { store } = fixture
  const [a, b] = [await openLog(store), await openLog(store)]
  expect(await appendTo(store, a, eventEntries(0n, 50n), 50n)).toMatchObject({ events: 50 })
  expect(await appendTo(store, b, eventEntries(0n, 50n), 50n)).toMatchObject({ events: 50 })
})

test('an id counts as taken up to the edge of the window and not beyond', async () => {
  const store = createStore(fixture.connections, { dedupWindowOffsets: 300n })
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 280n), 280n)
  const again = (at: bigint, id: number) => recordEntry({ offset: at }, accepted(id))
  const outcome = await appendTo(
    store,
    open,
    [...eventEntries(280n, 300n), again(300n, 0), again(301n, 0), again(302n, 1), again(303n, 4)],
    304n,
  )
  expect(outcome).toMatchObject({ events: 22 })
  const letters = await lettersOf(open.log.logId)
  // 0 at 300: exactly 300 back, taken. 0 at 301 and 1 at 302: 301 back, free. 4 at 303: 299 back, taken.
  expect(letters.map(({ offset, detail }) => [offset, /at offset (\d+)/.exec(detail)?.[1]])).toEqual([
    ['300', '0'],
    ['303', '4'],
  ])
})

test('duplicates anywhere among large and small rows leave the other rows as they were', async () => {
  const { store } = fixture
  const open = await openLog(store)
  await appendTo(store, open, eventEntries(0n, 10n), 10n)
  const sizes = [5, 70_000, 10, 65_300, 140_000, 3, 64_000, 900]
  const entries = Array.from({ length: 400 }, (_, i) => {
    const at = BigInt(10 + i)
    const value = Buffer.alloc(sizes[i % sizes.length] ?? 1, `${i} `)
    // Every third one, runs of neighbours and the last one repeat an id.
    const repeats = i % 3 === 0 || (i > 100 && i < 120) || i === 399
    return recordEntry({ offset: at, value }, accepted(repeats ? i % 10 : at))
  })
  const expected = entries.filter((entry) => entry.decoded.kind === 'event' && entry.decoded.id !== undefined)
  await appendTo(store, open, entries, 410n)
  const rows = await withClient(fixture.database.adminUrl, async (client) => {
    const text = (table: string) =>
      `select "offset", value, leaf_index, '${table}' as place from ${table} where log_id = $1 and "offset" >= 10`
    return (
      await client.query(`${text('events')} union all ${text('dead_letters')} order by 1`, [open.log.logId])
    ).rows
  })
  expect(rows).toHaveLength(expected.length)
  rows.forEach((row, i) => {
    const entry = expected[i]
    expect(row.leaf_index).toBe(String(10 + i))
    expect(
      row.value.equals(
        entry?.records.bytes.subarray(entry.records.valueStarts[0], entry.records.valueEnds[0]),
      ),
    ).toBe(true)
    const repeats = i % 3 === 0 || (i > 100 && i < 120) || i === 399
    expect(row.place).toBe(repeats ? 'dead_letters' : 'events')
  })
})

test('findDuplicates agrees with looking at all pairs', () => {
  const event = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    step: fc.integer({ min: 1, max: 4 }),
    content: fc.constantFrom('x', 'y'),
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), fc.nat(40), fc.nat(12), (events, split, window) => {
      let at = 0n
      const all = events.map(({ id, step, content }, row) => {
        at += BigInt(step)
        return { row, id, offset: at, contentHash: sha256(content) }
      })
      // One by one over everything, by definition.
      const stay: KnownEvent[] = []
      const codes = all.map((candidate) => {
        const first = stay.find(
          (each) => each.id === candidate.id && candidate.offset - each.offset <= BigInt(window),
        )
        if (first === undefined) {
          stay.push(candidate)
          return null
        }
        return first.contentHash === candidate.contentHash ? 'DUPLICATE_ID' : 'ID_CONFLICT'
      })
      // Those before the split stand in the log; the rest is the batch.
      const known = stay.filter((each) => all.slice(0, split).some((one) => one === each))
      const batch = all.slice(split).map((candidate, row) => ({ ...candidate, row }))
      const found = findDuplicates(batch, known, BigInt(window))
      expect(batch.map(({ row }) => found.get(row)?.code ?? null)).toEqual(codes.slice(split))
    }),
  )
})
