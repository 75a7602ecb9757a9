import { expect, test } from 'vitest'
import { leafIndex, offset } from '../../src/domain/model.ts'
import { withClient } from '../support/database.ts'
import { useOneDay } from '../support/midnight.ts'
import { accepted, eventEntries, recordEntry } from './entries.ts'
import { ageLog, appendTo, type OpenLog, openLog, useStore } from './fixture.ts'

useOneDay()

const fixture = useStore('days')

/** 700 events of three days ago, 500 of yesterday, 300 of today. */
async function logOverDays(): Promise<OpenLog> {
  const open = await openLog(fixture.store)
  await appendTo(fixture.store, open, eventEntries(0n, 700n), 700n)
  await ageLog(fixture, open, 2)
  await appendTo(fixture.store, open, eventEntries(700n, 1_200n), 1_200n)
  await ageLog(fixture, open, 1)
  await appendTo(fixture.store, open, eventEntries(1_200n, 1_500n), 1_500n)
  return open
}

test('a log over several days reads as one, and counts and roots see all of it', async () => {
  const open = await logOverDays()
  const { reader } = fixture.store
  const days = await withClient(fixture.database.adminUrl, (client) =>
    client.query('select count(distinct tableoid) as count from events where log_id = $1', [open.log.logId]),
  )
  expect(days.rows).toEqual([{ count: '3' }])
  for (const maxScanned of [300, 700, 5_000]) {
    const offsets: bigint[] = []
    for (let at = offset(0n); at < 1_500n; ) {
      const page = await reader.readPage({
        logId: open.log.logId,
        from: at,
        to: offset(1_500n),
        filters: {},
        maxScanned,
        maxBytes: 1 << 20,
      })
      offsets.push(...page.records.offsets)
      at = page.next
    }
    expect(offsets).toEqual(Array.from({ length: 1_500 }, (_, i) => BigInt(i)))
  }
  expect(await reader.countRange(open.log.logId, offset(600n), offset(1_400n), {})).toMatchObject({
    planned: 800n,
  })
  const again = await openLog(fixture.store)
  await appendTo(fixture.store, again, eventEntries(0n, 1_500n), 1_500n)
  for (const size of [600n, 700n, 1_100n, 1_300n, 1_500n])
    expect(await reader.rootAt(open.log.logId, leafIndex(size))).toBe(
      await reader.rootAt(again.log.logId, leafIndex(size)),
    )
})

test('an id is taken by an event of an earlier day', async () => {
  const open = await logOverDays()
  const repeats = [3n, 699n, 700n, 1_199n, 1_200n].map((id, i) =>
    recordEntry({ offset: 1_500n + BigInt(i) }, accepted(id)),
  )
  expect(
    await appendTo(fixture.store, open, [...repeats, recordEntry({ offset: 1_505n })], 1_506n),
  ).toMatchObject({
    events: 1,
    deadLetters: new Map([['DUPLICATE_ID', 5]]),
  })
})
