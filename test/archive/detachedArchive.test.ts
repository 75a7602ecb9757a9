/** Archives of a log of which a day went away: what is still there, and together with the older ones the whole log. */
import { randomUUID } from 'node:crypto'
import { cpSync } from 'node:fs'
import { expect, it } from 'vitest'
import { partsToArchive } from '../../activities/archive/planArchive.ts'
import type { ArchiveRequest } from '../../src/domain/archive/request.ts'
import { offset } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { ageLog, appendTo, openLog } from '../store/fixture.ts'
import { motley, trueEvents } from '../verification/trueLog.ts'
import { verifyWhole } from '../verification/verifyWhole.ts'
import { AGE, daysOf, useDays } from './detachFixture.ts'
import { archiveWith, recoverInto, rowsOf, useArchives } from './fixture.ts'

const archives = useArchives('detached_archive')
const { platform, makeFolder, archive, checkpoint, emptyDatabase } = archives
const { detach, drop } = useDays(archives)

let days = AGE
/** 300 leaves of a day, 700 of a later one, and 600 events of today. */
async function threeDays() {
  const [first, second] = [days + 3, days + 1]
  days += 4
  const open = await openLog(platform.store)
  const older = motley(0n, 300)
  await appendTo(platform.store, open, older.entries, older.end)
  await ageLog(platform, open, first - second)
  const old = motley(older.end, 700)
  await appendTo(platform.store, open, old.entries, old.end)
  await ageLog(platform, open, second)
  const end = old.end + 600n
  await appendTo(platform.store, open, trueEvents(old.end, end), end)
  const { topic } = open.log.identity
  await checkpoint(topic)
  const [firstDay = '', secondDay = ''] = await daysOf(platform, open)
  return { open, topic, folder: makeFolder(), older: firstDay, old: secondDay, border: old.end }
}

const rangeOf = (request: ArchiveRequest): Promise<string> =>
  partsToArchive({ logs: platform.store.queries, archives: platform.store.archives }, request).then(
    (parts) => parts.map(({ range }) => `${range.fromLeaf} to ${range.toLeaf}`).join(),
    (error: unknown) => (error instanceof ServiceError ? `${error.code}: ${error.message}` : String(error)),
  )

it('without a range it is what lies behind them, and both archives give the whole log', {
  timeout: 60_000,
}, async () => {
  const { open, topic, folder, old, border } = await threeDays()
  const made = await archive(folder, { topic, partition: 0, toLeaf: '1000' })
  const before = await rowsOf(platform.database.adminUrl, topic)
  expect(await detach(old)).toMatch(/^\d+$/)
  await drop(old)
  const rest = await archive(folder, { topic })
  expect(rest.logs).toMatchObject([{ fromLeaf: '1000', toLeaf: '1600', fromOffset: String(border) }])
  const database = await emptyDatabase()
  const report = await recoverInto(database, folder)
  expect(report.logs).toMatchObject([{ topic, leaves: '1600' }])
  expect(await rowsOf(database.adminUrl, topic)).toEqual(before)
  expect((await verifyWhole(platform.store, open)).findings.counts).toEqual({})

  // What names a range over them is refused at once, and says who holds them.
  const held = new RegExp(
    `^DETACHED: .* went away with the day ${old}, .* in the archive ${made.id} in ${folder}$`,
  )
  const noon = `${old}T12:00:00Z`
  const next = new Date(Date.parse(old) + 86_400_000).toISOString().slice(0, 10)
  for (const request of [
    { partition: 0, fromLeaf: '0' },
    { partition: 0, fromLeaf: '990', toLeaf: '1010' },
    { from: old },
    { from: noon },
    { to: noon },
    { from: old, to: next },
    { to: next },
  ])
    expect([request, await rangeOf({ topic, ...request })]).toEqual([request, expect.stringMatching(held)])
  // What lies beside them is not.
  expect(await rangeOf({ topic, to: old })).toBe('0 to 300')
  expect(await rangeOf({ topic, from: next })).toBe('1000 to 1600')
  expect(await rangeOf({ topic, partition: 0, fromLeaf: '1000', toLeaf: '1001' })).toBe('1000 to 1001')
})

it('leaves before them that no archive holds are not left out without a word', {
  timeout: 60_000,
}, async () => {
  const { open, topic, folder, old, older } = await threeDays()
  await archive(folder, { topic, partition: 0, fromLeaf: '300', toLeaf: '1000' })
  const before = await rowsOf(platform.database.adminUrl, topic)
  expect(await detach(old)).toMatch(/^\d+$/)
  expect(await rangeOf({ topic })).toMatch(
    /^DETACHED: The leaves 0 to 300 of .* no verified archive holds them/,
  )
  expect(await detach(older)).toMatch(/^NOT_ARCHIVED/)
  await archive(folder, { topic, partition: 0, fromLeaf: '0', toLeaf: '300' })
  await archive(folder, { topic })
  expect(await detach(older)).toMatch(/^\d+$/)
  for (const each of [old, older]) await drop(each)
  // Both days have leaves in one block.
  const { findings, detached } = await verifyWhole(platform.store, open)
  expect([findings.counts, detached.days.map((each) => each.day)]).toEqual([{}, [older, old]])
  expect(await rangeOf({ topic })).toBe('1000 to 1600')
  const database = await emptyDatabase()
  const copy = makeFolder()
  cpSync(folder, copy, { recursive: true })
  await recoverInto(database, copy)
  expect(await rowsOf(database.adminUrl, topic)).toEqual(before)
})

it('a list of events shows what lies before them first', { timeout: 60_000 }, async () => {
  const { topic, folder, old, border } = await threeDays()
  await archive(folder, { topic })
  await detach(old)
  const { queries } = platform.store
  const first = await queries.findEvents({ topic, limit: 1_000 })
  expect(first.items.length).toBeGreaterThan(200)
  expect(first.items.every(({ offset: at }) => at < border)).toBe(true)
  const cursor = first.nextCursor ?? ''
  await expect(queries.findEvents({ topic, limit: 1_000, cursor })).rejects.toMatchObject({
    code: 'DETACHED',
  })
  const behind = await queries.findEvents({ topic, limit: 1_000, fromOffset: offset(border) })
  expect(behind.items).toHaveLength(600)
})

it('an archive that a detachment overtakes ends with that, and not as damage', {
  timeout: 60_000,
}, async () => {
  const { topic, folder, old } = await threeDays()
  await archive(folder, { topic })
  const { audit } = platform.store
  let detached = false
  const deps = {
    ...archives.depsFor(createFolderArchives(makeFolder())),
    audit: {
      ...audit,
      spans: async (id: Parameters<typeof audit.spans>[0]) => {
        const spans = await audit.spans(id)
        if (!detached) {
          detached = true
          expect(await detach(old)).toMatch(/^\d+$/)
        }
        return spans
      },
    },
  }
  await expect(archiveWith(deps, { topic }, randomUUID())).rejects.toMatchObject({ code: 'DETACHED' })
})
