import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LogEntry, offset, type RecordEntry } from '../../src/domain/model.ts'
import type { EventFilters } from '../../src/domain/replay.ts'
import type { EventPage } from '../../src/ports.ts'
import { nextWindow, pageText } from '../../src/store/readPage.ts'
import { withClient } from '../support/database.ts'
import { accepted, eventEntries, gapEntry, recordEntry } from './entries.ts'
import { appendTo, type OpenLog, openLog, useStore } from './fixture.ts'

const fixture = useStore('pages')

/** A log with holes, dead letters, gaps, null keys and values of many sizes; what of it is an event, in order. */
async function motleyLog(): Promise<{ open: OpenLog; events: RecordEntry[]; end: bigint }> {
  const open = await openLog(fixture.store, 100n)
  const events: RecordEntry[] = []
  let at = 100n
  for (let batch = 0; batch < 6; batch++) {
    const entries: LogEntry[] = []
    for (let i = 0; i < 370; i++) {
      const kind = (batch * 370 + i) % 23
      if (kind === 5) {
        entries.push(gapEntry(at, at + 40n))
        at += 40n
      } else if (kind === 11) {
        entries.push(recordEntry({ offset: at }, { kind: 'rejected', code: 'SCHEMA', detail: 'no' }))
        at += 1n
      } else {
        const entry = recordEntry(
          {
            offset: at,
            key: kind === 7 ? null : Buffer.from(`k${at}`),
            value: Buffer.alloc((Number(at) * 37) % 700, `${at}`),
            headers: Buffer.from([2, 2, 0x61, 2, 0x62]),
          },
          accepted(at, {
            type: kind % 2 === 0 ? 'even' : "odd's \\ type",
            source: `source-${kind % 5}`,
            tenantId: kind % 3 === 0 ? null : `tenant-${kind % 3}`,
          }),
        )
        entries.push(entry)
        events.push(entry)
        // Every seventh record is followed by a hole.
        at += kind % 7 === 0 ? 3n : 1n
      }
    }
    await appendTo(fixture.store, open, entries, at)
  }
  return { open, events, end: at }
}

const offsetOf = (entry: RecordEntry): bigint => entry.records.offsets[entry.index] ?? -1n

/** What a page holds, one object per record, comparable with an entry. */
const recordsOf = (page: EventPage) =>
  Array.from({ length: page.records.count }, (_, i) => {
    const { records } = page
    const part = (start: number | undefined, end: number | undefined) =>
      start === undefined || start < 0 ? null : records.bytes.subarray(start, end).toString('latin1')
    return {
      offset: records.offsets[i],
      timestamp: records.timestamps[i],
      key: part(records.keyStarts[i], records.keyEnds[i]),
      value: part(records.valueStarts[i], records.valueEnds[i]),
      headers: part(records.headerStarts[i], records.headerEnds[i]),
      leaf: page.leaves[i],
      contentHash: page.contentHashes[i],
    }
  })

const expectedOf = (entry: RecordEntry) => ({
  ...recordsOf({
    records: entry.records,
    leaves: [entry.leaf],
    contentHashes: [],
    leafIndexes: new BigInt64Array(),
    next: offset(0n),
    scanned: 0,
  })[0],
  leaf: entry.leaf,
  contentHash: entry.decoded.kind === 'event' ? entry.decoded.contentHash : undefined,
})

async function readAll(
  open: OpenLog,
  from: bigint,
  to: bigint,
  bounds: { maxScanned: number; maxBytes: number },
  filters: EventFilters = {},
) {
  const pages: EventPage[] = []
  for (let at = offset(from); at < to; ) {
    const page = await fixture.store.reader.readPage({
      logId: open.log.logId,
      from: at,
      to: offset(to),
      filters,
      ...bounds,
    })
    expect(page.next).toBeGreaterThan(at)
    pages.push(page)
    at = page.next
  }
  return pages
}

test('pages give every event of a range once, in order, byte for byte, whatever their bounds', async () => {
  const { open, events, end } = await motleyLog()
  await fc.assert(
    fc.asyncProperty(
      fc.bigInt(100n, end),
      fc.bigInt(100n, end),
      fc.integer({ min: 60, max: 3_000 }),
      fc.integer({ min: 4_000, max: 500_000 }),
      async (a, b, maxScanned, maxBytes) => {
        const [from, to] = a < b ? [a, b] : [b, a]
        const wanted = events.filter((entry) => offsetOf(entry) >= from && offsetOf(entry) < to)
        const pages = await readAll(open, from, to, { maxScanned, maxBytes })
        expect(pages.flatMap(recordsOf)).toEqual(wanted.map(expectedOf))
        expect(pages.reduce((sum, page) => sum + page.scanned, 0)).toBe(wanted.length)
        for (const page of pages) {
          expect(page.scanned).toBeLessThanOrEqual(maxScanned)
          const bytes = recordsOf(page).reduce(
            (sum, each) =>
              sum + (each.key?.length ?? 0) + (each.value?.length ?? 0) + (each.headers?.length ?? 0),
            0,
          )
          if (page.records.count > 1) expect(bytes).toBeLessThanOrEqual(maxBytes)
        }
      },
    ),
    { numRuns: 25 },
  )
})

test('filters choose events and still go on where they match nothing', async () => {
  const { open, events, end } = await motleyLog()
  const cases: readonly { filters: EventFilters; passes: (entry: RecordEntry) => boolean }[] = [
    {
      filters: { eventTypes: ['even'] },
      passes: (e) => e.decoded.kind === 'event' && e.decoded.type === 'even',
    },
    {
      filters: { eventTypes: ["odd's \\ type", 'never'], sources: ['source-1', 'source-2'] },
      passes: (e) =>
        e.decoded.kind === 'event' &&
        e.decoded.type !== 'even' &&
        ['source-1', 'source-2'].includes(e.decoded.source),
    },
    {
      filters: { tenantIds: ['tenant-2'], sources: [] },
      passes: (e) => e.decoded.kind === 'event' && e.decoded.tenantId === 'tenant-2',
    },
    { filters: { sources: ["'; drop table events; --"] }, passes: () => false },
  ]
  for (const { filters, passes } of cases) {
    for (const maxScanned of [100, 600]) {
      const pages = await readAll(open, 100n, end, { maxScanned, maxBytes: 1 << 20 }, filters)
      expect(pages.flatMap(recordsOf)).toEqual(events.filter(passes).map(expectedOf))
      expect(pages.reduce((sum, page) => sum + page.scanned, 0)).toBe(events.length)
    }
    const count = await fixture.store.reader.countRange(open.log.logId, offset(100n), offset(end), filters)
    expect(count).toMatchObject({
      planned: BigInt(events.filter(passes).length),
      total: BigInt(events.length),
    })
  }
})

test('a count names the oldest timestamp and the largest record of those that pass', async () => {
  const { open, events, end } = await motleyLog()
  const middle = events.slice(300, 900)
  const [first, last] = [middle[0], middle.at(-1)]
  const count = await fixture.store.reader.countRange(
    open.log.logId,
    offset(first === undefined ? 0n : offsetOf(first)),
    offset(last === undefined ? 0n : offsetOf(last) + 1n),
    {},
  )
  const sizes = middle.map((entry) => {
    const { key, value, headers } = expectedOf(entry)
    return (key?.length ?? 0) + (value?.length ?? 0) + (headers?.length ?? 0)
  })
  expect(count).toEqual({
    planned: 600n,
    total: 600n,
    minTimestamp: first?.records.timestamps[0],
    maxRecordBytes: Math.max(...sizes),
  })
  expect(await fixture.store.reader.countRange(open.log.logId, offset(end), offset(end), {})).toEqual({
    planned: 0n,
    total: 0n,
    minTimestamp: null,
    maxRecordBytes: 0,
  })
})

test('one event larger than a page is a page of its own', async () => {
  const open = await openLog(fixture.store)
  const entries = [10, 300_000, 10, 10].map((size, i) =>
    recordEntry({ offset: BigInt(i), key: null, value: Buffer.alloc(size, 'v'), headers: Buffer.of(0) }),
  )
  await appendTo(fixture.store, open, entries, 4n)
  const pages = await readAll(open, 0n, 4n, { maxScanned: 1_000, maxBytes: 50 })
  expect(pages.map((page) => [...page.records.offsets])).toEqual([[0n], [1n], [2n, 3n]])
})

test('a range beyond the head is refused, an empty one is an empty page', async () => {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, 5n), 5n)
  const request = { logId: open.log.logId, filters: {}, maxScanned: 10, maxBytes: 10_000 }
  await expect(
    fixture.store.reader.readPage({ ...request, from: offset(0n), to: offset(6n) }),
  ).rejects.toMatchObject({ code: 'OFFSET_NOT_INGESTED' })
  const empty = await fixture.store.reader.readPage({ ...request, from: offset(5n), to: offset(5n) })
  expect(empty).toMatchObject({ next: 5n, scanned: 0, records: { count: 0 } })
})

test('a filter that no column can hold is bad input, named', async () => {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, 5n), 5n)
  for (const bad of ['a\u0000', '\ud800']) {
    await expect(
      fixture.store.reader.readPage({
        logId: open.log.logId,
        from: offset(0n),
        to: offset(5n),
        filters: { eventTypes: ['ok', bad] },
        maxScanned: 10,
        maxBytes: 1_000,
      }),
    ).rejects.toMatchObject({ code: 'BAD_REQUEST', fields: [{ path: 'filters.eventTypes.1' }] })
  }
})

test('a page opens only the partitions that hold it, and reads them by their index in order', async () => {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, 2_000n), 2_000n)
  await withClient(fixture.database.adminUrl, async (client) => {
    await client.query(
      `select create_events_partition(current_date + days) from generate_series(-40, 40) days`,
    )
    const next = await nextWindow(fixture.connections.readers, {
      logId: open.log.logId,
      from: offset(1_500n),
      to: offset(2_000n),
      maxScanned: 500,
      maxBytes: 1 << 20,
    })
    expect(next).not.toBeNull()
    if (next === null) return
    // As the readers' sessions plan.
    await client.query('set enable_seqscan = off; set enable_bitmapscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${pageText(next.window, null)}`)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan.match(/ on events_\d+/g)).toHaveLength(1)
    expect(plan).toMatch(/Index Scan using events_\d+_log_offset/)
    expect(plan).not.toMatch(/Sort|Seq Scan/)
  })
})
