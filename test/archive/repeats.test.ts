/** Ids that come twice, in an archive whose codes somebody changed: held against the events before everything is committed. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { formatRecovery } from '../../src/cli/archive/present.ts'
import { offset } from '../../src/domain/model.ts'
import { ServiceError } from '../../src/errors.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { eventValue, idAt, trueEntry, trueEvents } from '../verification/trueLog.ts'
import { forgeLines, recoverInto, useArchives } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('repeats')
let source: { readonly folder: string; readonly id: string }

/**
 * Events, but for: leaf 20 repeats event 3, leaf 21 has the id of event 4 and other content, leaf 22 is none by its schema and
 * has the id that event 25 has later. A second log has the same ids.
 */
beforeAll(async () => {
  const folder = makeFolder()
  const open = await openLog(platform.store)
  const { topic } = open.log.identity
  const log = await platform.store.writer.openLog({ ...open.log.identity, partition: 1 }, offset(0n), 0)
  await appendTo(platform.store, { log, position: log.position }, trueEvents(0n, 30n), 30n)
  await appendTo(platform.store, open, trueEvents(0n, 20n), 20n)
  const repeated = [
    trueEntry({ offset: 20n, value: eventValue(3n) }),
    trueEntry({ offset: 21n, value: eventValue(4n, { data: {} }) }),
    trueEntry({ offset: 22n, value: eventValue(25n, { source: 7 }) }),
  ]
  await appendTo(platform.store, open, [...repeated, ...trueEvents(23n, 30n)], 30n)
  await checkpoint(topic)
  const { id } = await archive(folder, { topic })
  source = { folder, id }
})

/** With other words about some leaves of the log; null: it is an event. */
async function recovered(codes: Readonly<Record<string, string | null>>) {
  const folder = makeFolder()
  cpSync(join(source.folder, source.id), join(folder, source.id), { recursive: true })
  forgeLines(folder, source.id, 'files', ({ deadLetter, ...line }) => {
    const code = codes[String(line['leafIndex'])]
    if (code === undefined) return null
    return code === null ? line : { ...line, deadLetter: { code, detail: '' } }
  })
  const database = await emptyDatabase()
  try {
    return { report: await recoverInto(database, folder), said: '', logs: null }
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    const logs = await withClient(database.adminUrl, (client) => client.query('select from partition_logs'))
    return { report: null, said: `${error.code}: ${error.message}`, logs: logs.rowCount }
  }
}

it('what earlier events bear out is not by word of the archive', { timeout: 60_000 }, async () => {
  const { report } = await recovered({})
  expect(report?.logs.map(({ deadLetters, codesByWord }) => [deadLetters, codesByWord])).toEqual([
    ['3', '0'],
    ['0', '0'],
  ])
  expect(report?.logs.map(({ repeatedIds }) => repeatedIds)).toEqual([undefined, undefined])
})

it('a duplicate that is shown as an event is counted, and where it is, is said', async () => {
  const { report } = await recovered({ 20: null })
  expect(report?.logs[0]).toMatchObject({
    ...{ events: '28', codesByWord: '0' },
    repeatedIds: { events: '1', firstLeaf: '20', nearest: '17' },
  })
  expect(formatRecovery(report ?? ({} as never)).join('\n')).toContain(
    '1 events have the id of an earlier event, the first one leaf 20, 17 offsets apart at least',
  )
})

it.each([
  ['an event that nobody had before', { 7: 'DUPLICATE_ID' }, 7, 'DUPLICATE_ID', idAt(7)],
  ['an event, as a conflict', { 29: 'ID_CONFLICT', 20: null }, 29, 'ID_CONFLICT', idAt(29)],
  ['the same content, as a conflict', { 20: 'ID_CONFLICT' }, 20, 'ID_CONFLICT', idAt(3)],
  ['other content, as the same', { 21: 'DUPLICATE_ID' }, 21, 'DUPLICATE_ID', idAt(4)],
  ['the first of two, which then hides neither', { 3: 'DUPLICATE_ID' }, 3, 'DUPLICATE_ID', idAt(3)],
] as const)('hidden is found: %s', async (_name, codes, leaf, code, id) => {
  const { report, said, logs } = await recovered(codes)
  expect([report, logs]).toEqual([null, 0])
  expect(said).toMatch(new RegExp(`^ARCHIVE_DAMAGED: .*${source.id}/\\S+/0-1/leaves-\\S+`))
  expect(said).toContain(`calls leaf ${leaf} of `)
  expect(said).toContain(`a dead letter ${code}, and no event before it has the id ${id}`)
})

it('an earlier record that this version judges otherwise may have been the event: nobody can tell', async () => {
  const { report } = await recovered({ 25: 'DUPLICATE_ID' })
  expect(report?.logs[0]).toMatchObject({ events: '26', deadLetters: '4', codesByWord: '1' })
})
