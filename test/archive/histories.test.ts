/** Archives that contradict each other, lack something, or lie in two places: nothing is taken for the log that is not signed as it. */
import { randomUUID } from 'node:crypto'
import { cpSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatRecovery } from '../../src/cli/archive/present.ts'
import type { Manifest } from '../../src/domain/archive/manifest.ts'
import { offset } from '../../src/domain/model.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { appendTo } from '../store/fixture.ts'
import { withClient } from '../support/database.ts'
import { TestKafka, validEvent } from '../support/source.ts'
import { eventValue, trueEntry, trueEvents } from '../verification/trueLog.ts'
import { archiveWith, codeOf, forgeLines, forgeManifest, recoverInto, useArchives } from './fixture.ts'

const { broker, platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('histories')
/** Another database, where nobody signs: a forger's. */
const forger = useArchives('forger')
let kafka: TestKafka
beforeAll(async () => {
  kafka = await TestKafka.connect()
})
afterAll(() => kafka.close())

async function makeLog(leaves: bigint, records = 0) {
  const topic = await kafka.topic(1)
  if (records > 0)
    await kafka.producer.send({
      topic,
      messages: Array.from({ length: records }, () => ({
        value: JSON.stringify(validEvent()),
        partition: 0,
      })),
    })
  const topicId = (await broker.directory.describe(topic))?.topicId ?? ''
  const log = await platform.store.writer.openLog({ topic, partition: 0, topicId }, offset(0n), 0)
  const open = { log, position: log.position }
  await appendTo(platform.store, open, trueEvents(0n, leaves), leaves)
  return { topic, topicId, open }
}

async function deleteBelow(topic: string, partition: number, below: number): Promise<void> {
  // Loads the topic's leaders, which deleteTopicRecords looks up without asking for them.
  await kafka.admin.fetchTopicOffsets(topic)
  await kafka.admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(below) }] })
}

const manifestIn = (folder: string, id: string): Manifest =>
  JSON.parse(readFileSync(join(folder, id, 'manifest.json'), 'utf8'))

/** An archive of other events under the log's name, as whoever may write to the place can make one. */
async function forge(
  folder: string,
  { topic, topicId }: { readonly topic: string; readonly topicId: string },
  leaves: number,
  { keys, createdAt, logs }: Manifest,
): Promise<string> {
  const log = await forger.platform.store.writer.openLog({ topic, partition: 0, topicId }, offset(0n), 0)
  const entries = Array.from({ length: leaves }, (_, index) =>
    trueEntry({ offset: BigInt(index), timestamp: 1n, key: null, value: eventValue(5_000 + index) }),
  )
  await appendTo(forger.platform.store, { log, position: log.position }, entries, BigInt(leaves))
  const id = randomUUID()
  const place = createFolderArchives(folder)
  await archiveWith({ ...forger.depsFor(place), signing: { keys: [], overlapMs: 0 } }, { topic }, id)
  const created = logs[0]?.createdAt ?? 0
  forgeManifest(folder, id, (each) => ({ ...each, createdAt: created }), { keys, createdAt })
  return id
}

it('a signed note in an archive is kept to, also where it covers more than the archive holds', async () => {
  const { topic } = await makeLog(60n, 60)
  await checkpoint(topic)
  const folder = makeFolder()
  await archive(folder, { topic, partition: 0, fromLeaf: '0', toLeaf: '40' })
  await deleteBelow(topic, 0, 50)
  // With the gap that Kafka leaves, the log would contradict the note over 60 leaves.
  expect(await recoverInto(await emptyDatabase(), folder, { source: broker.directory })).toMatchObject({
    complete: false,
    logs: [
      {
        ...{ leaves: '40', notes: { matched: 0, larger: 0 } },
        missing: [{ state: 'lost', toLeaf: '60', toOffset: '50' }, { state: 'in-kafka' }],
        followedBy: { incarnation: 2, startOffset: '50' },
      },
    ],
  })
})

describe('an unsigned archive', () => {
  it('does not come before a signed one, however long it is', async () => {
    const source = await makeLog(40n)
    await checkpoint(source.topic)
    const folder = makeFolder()
    const { id } = await archive(folder, { topic: source.topic })
    const forged = await forge(folder, source, 60, manifestIn(folder, id))
    const database = await emptyDatabase()
    expect(await codeOf(recoverInto(database, folder))).toMatch(
      new RegExp(
        `^ARCHIVE_DAMAGED: ${forged}/manifest.json \\(not signed\\) says .* than the archive ${id} \\(signed\\) leads to`,
      ),
    )
    expect(await recoverInto(database, folder, { except: [forged] })).toMatchObject({
      // Whoever looks decides whether that archive was ever true.
      ...{ complete: false, leftOut: [{ id: forged, lacks: [{ toLeaf: '60' }] }] },
      logs: [{ leaves: '40', signedTo: '40' }],
    })
  })

  it('does not make a signed one look damaged that goes on behind it', async () => {
    const source = await makeLog(60n)
    await checkpoint(source.topic)
    const folder = makeFolder()
    const { topic } = source
    const { id } = await archive(folder, { topic, partition: 0, fromLeaf: '40', toLeaf: '55' })
    const forged = await forge(folder, source, 40, manifestIn(folder, id))
    forgeLines(folder, forged, 'files', (line) => ({ ...line, ingestedAt: 1 }))
    expect(await codeOf(recoverInto(await emptyDatabase(), folder))).toMatch(
      new RegExp(
        `^ARCHIVE_DAMAGED: ${id}/manifest.json \\(signed\\) says .* than the archive ${forged} \\(not signed\\) leads to`,
      ),
    )
  })

  it('that says it is the newest takes neither keys nor holds away, nor can it be of the future', async () => {
    const { topic } = await makeLog(40n)
    await checkpoint(topic)
    const folder = makeFolder()
    await archive(folder, { topic })
    const { id } = await archive(folder, { topic })
    forgeManifest(folder, id, (log) => log, { createdAt: Date.UTC(9000, 0, 1) })
    const database = await emptyDatabase()
    expect(await codeOf(recoverInto(database, folder))).toMatch(
      /^ARCHIVE_DAMAGED: .* says that it was made in the future/,
    )
    const empty = { keys: [], holds: [], producers: [] }
    forgeManifest(folder, id, (log) => log, { ...empty, createdAt: Date.now() + 60_000 })
    await recoverInto(database, folder)
    const keys = await withClient(database.adminUrl, (client) => client.query('select from signing_keys'))
    expect(keys.rowCount).toBe(1)
  })
})

it('checkpoints come back from every archive, also from those whose leaves another one has', async () => {
  const { topic } = await makeLog(40n)
  await checkpoint(topic)
  const folder = makeFolder()
  await archive(folder, { topic }, '00000000-0000-4000-8000-000000000002')
  for (let more = 0; more < 3; more++) await checkpoint(topic)
  await archive(folder, { topic }, '00000000-0000-4000-8000-000000000001')
  const { checkpoints } = await recoverInto(await emptyDatabase(), folder)
  expect(checkpoints).toBe(4)
  const renamed = makeFolder()
  for (const [from, to] of [
    ['1', '3'],
    ['2', '2'],
  ] as const) {
    const id = `00000000-0000-4000-8000-00000000000${to}`
    cpSync(join(folder, `00000000-0000-4000-8000-00000000000${from}`), join(renamed, id), { recursive: true })
    forgeManifest(renamed, id, (log) => log, { id })
  }
  expect(await recoverInto(await emptyDatabase(), renamed)).toMatchObject({ checkpoints: 4 })
})

describe('of an archive in two places', () => {
  it('one copy may be damaged, and both must be the same', async () => {
    const { topic } = await makeLog(40n)
    await checkpoint(topic)
    const [folder, copy, other] = [makeFolder(), makeFolder(), makeFolder()]
    const { id } = await archive(folder, { topic })
    cpSync(join(folder, id), join(copy, id), { recursive: true })
    cpSync(join(folder, id), join(other, id), { recursive: true })
    const places = (...folders: string[]) => ({ places: folders.map(createFolderArchives) })
    truncateSync(join(folder, id, manifestIn(folder, id).logs[0]?.files[0]?.name ?? ''), 10)
    const damaged = await recoverInto(await emptyDatabase(), folder, places(folder, copy))
    expect(damaged).toMatchObject({ archives: [{ id }], logs: [{ leaves: '40', signedTo: '40' }] })
    expect(formatRecovery(damaged).join('\n')).toMatch(/REMARK: .* has 10 bytes, .*: read in another place/)

    truncateSync(join(folder, id, 'manifest.json'), 10)
    const gone = await recoverInto(await emptyDatabase(), folder, places(folder, copy))
    expect(formatRecovery(gone).join('\n')).toMatch(
      /REMARK: another copy is not good.*manifest.json is not good/,
    )

    forgeManifest(other, id, (log) => log, { createdBy: 'mallory' })
    expect(await codeOf(recoverInto(await emptyDatabase(), copy, places(copy, other)))).toMatch(
      /^ARCHIVE_AMBIGUOUS: .*manifest.json is another one in .*: give --from only where the right one is/,
    )
  })
})

describe('nothing is called whole', () => {
  it('while an incarnation in between is known to nobody', async () => {
    const { topic, topicId, open } = await makeLog(10n, 60)
    const folder = makeFolder()
    let log = open.log
    for (const start of [20n, 40n]) {
      const closed = await platform.store.writer.findLog(topic, 0)
      if (closed === null) throw new Error('no log')
      const next = { topicId, startOffset: offset(start) }
      const outcome = await platform.store.writer.openIncarnation(closed, next, async () => topicId)
      if (outcome.kind !== 'opened') throw new Error(outcome.kind)
      log = outcome.log
    }
    await appendTo(platform.store, { log, position: log.position }, trueEvents(40n, 60n), 60n)
    await checkpoint(topic)
    await archive(folder, { topic, partition: 0, incarnation: 1 })
    await archive(folder, { topic, partition: 0, incarnation: 3 })
    const report = await recoverInto(await emptyDatabase(), folder, { source: broker.directory })
    expect(report).toMatchObject({ complete: false, holes: [{ topic, partition: 0, from: 2, to: 2 }] })
    expect(formatRecovery(report)).toContain(
      `  ${topic}/0, incarnation 2: no archive and no note tells of it`,
    )
  })

  it('while Kafka has partitions that begin behind what nobody archived', async () => {
    const topic = await kafka.topic(2)
    const messages = [0, 1].flatMap((partition) =>
      Array.from({ length: 20 }, () => ({ value: JSON.stringify(validEvent()), partition })),
    )
    await kafka.producer.send({ topic, messages })
    const topicId = (await broker.directory.describe(topic))?.topicId ?? ''
    const log = await platform.store.writer.openLog({ topic, partition: 0, topicId }, offset(0n), 0)
    await appendTo(platform.store, { log, position: log.position }, trueEvents(0n, 20n), 20n)
    await checkpoint(topic)
    const folder = makeFolder()
    await archive(folder, { topic })
    const recovered = async () =>
      await recoverInto(await emptyDatabase(), folder, { source: broker.directory })
    expect(await recovered()).toMatchObject({
      ...{ complete: true, partitions: [{ topic, partition: 1, startOffset: '0' }] },
    })
    await deleteBelow(topic, 1, 15)
    const report = await recovered()
    expect(report).toMatchObject({ complete: false, partitions: [{ partition: 1, startOffset: '15' }] })
    expect(formatRecovery(report).join('\n')).toContain(
      'from offset 15, and what was before that, nobody has',
    )
  })

  it('where an archive was left out that holds more than the others', async () => {
    const { topic, open } = await makeLog(40n, 80)
    await checkpoint(topic)
    const folder = makeFolder()
    const first = await archive(folder, { topic })
    await appendTo(platform.store, open, trueEvents(40n, 60n), 60n)
    await checkpoint(topic)
    const { id } = await archive(folder, { topic, partition: 0, fromLeaf: '40' })
    const without = async (...except: string[]) =>
      await recoverInto(await emptyDatabase(), folder, { except, source: broker.directory })
    const report = await without(id)
    expect(report).toMatchObject({ complete: false, leftOut: [{ id, lacks: [{ toLeaf: '60' }] }] })
    expect(formatRecovery(report).join('\n')).toMatch(
      /was left out: it has, and no other archive, .* up to leaf 60/,
    )
    const { id: all } = await archive(folder, { topic })
    expect(await without(first.id, id)).toMatchObject({
      ...{ complete: true, archives: [{ id: all }], leftOut: [{ lacks: [] }, { lacks: [] }] },
    })
  })
})
