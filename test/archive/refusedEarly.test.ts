/** What can be known to go wrong before hours of work is known before them: Kafka that is away, rows that no database takes. */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { recover } from '../../src/archive/recover.ts'
import type { Manifest } from '../../src/domain/archive/manifest.ts'
import { ServiceError } from '../../src/errors.ts'
import { zstdCodec } from '../../src/places/archives/codec.ts'
import { createFolderArchives } from '../../src/places/archives/folder.ts'
import { testKey } from '../domain/evidence/keys.ts'
import { appendTo, openLog } from '../store/fixture.ts'
import { type TestDatabase, withClient } from '../support/database.ts'
import { trueEvents } from '../verification/trueLog.ts'
import { codeOf, forgeLines, forgeManifest, key, recoverInto, useArchives, verdictOf } from './fixture.ts'

const { platform, makeFolder, archive, checkpoint, emptyDatabase } = useArchives('early')
const producer = testKey('shop.example', 4)
let source: { readonly folder: string; readonly id: string }
let empty: TestDatabase

beforeAll(async () => {
  const open = await openLog(platform.store)
  await appendTo(platform.store, open, trueEvents(0n, 20n), 20n)
  await checkpoint(open.log.identity.topic)
  const folder = makeFolder()
  const { id } = await archive(folder, { topic: open.log.identity.topic })
  source = { folder, id }
  empty = await emptyDatabase()
})

function copy(): string {
  const folder = makeFolder()
  cpSync(join(source.folder, source.id), join(folder, source.id), { recursive: true })
  return folder
}

it('Kafka is asked before the first row is written', async () => {
  // As of brokers that do not answer: a real directory takes its ten seconds to say so (test/kafka/topic-directory.test.ts).
  const gone = async (): Promise<never> => {
    throw new ServiceError('KAFKA_UNAVAILABLE', 'Kafka does not answer')
  }
  const away = { describe: gone, bounds: gone, config: gone }
  let began = 0
  const refused = async (): Promise<never> => {
    began++
    throw new Error('a transaction was begun')
  }
  const recovering = recover({
    ...{
      places: [createFolderArchives(source.folder)],
      codec: zstdCodec,
      notes: [],
      keys: [key.verifierKey],
      except: [],
    },
    ...{ instance: null, store: { tablesInUse: async () => [], inTransaction: refused }, verdictOf },
    ...{ source: away, requestedBy: 'test', signal: new AbortController().signal },
    ...{ say: () => undefined, now: Date.now },
  })
  expect(await codeOf(recovering)).toMatch(/^KAFKA_UNAVAILABLE: /)
  expect(began).toBe(0)
})

const hold = { scope: 'tenant', subject: 't', held: true, reason: 'r', since: 1, by: 'ada' } as const
const ofProducer = (validFrom: number, validUntil: number | null, text = producer.verifierKey.text) => ({
  producers: [{ source: 'shop', policy: 'verify' as const, keys: [{ key: text, validFrom, validUntil }] }],
})
const ofSigner = (signsFrom: number, signsUntil: number | null, text = key.verifierKey.text) => ({
  keys: [{ key: text, signsFrom, signsUntil }],
})

describe('a manifest with what no database takes is damaged, and says where', () => {
  it.each<[string, Partial<Manifest>, string]>([
    [
      'U+0000 in a reason',
      { holds: [{ ...hold, reason: 'a\u0000' }] },
      'holds.0.reason: must not hold U+0000',
    ],
    ['U+0000 in a subject', { holds: [{ ...hold, subject: '\u0000' }] }, 'holds.0.subject'],
    ['U+0000 in who it was', { holds: [{ ...hold, by: '\u0000' }] }, 'holds.0.by'],
    [
      'U+0000 in a source',
      { producers: [{ source: '\u0000', policy: 'require', keys: [] }] },
      'producers.0.source',
    ],
    ['a signing period that ends before it begins', ofSigner(9, 8), 'keys.0: ends before it begins'],
    ['a key of a producer that ends before it begins', ofProducer(9, 8), 'producers.0.keys.0: ends before'],
    ['a signing key that is none', ofSigner(1, null, 'x'), 'keys.0.key: is no verifier key'],
    ['a producer key that is none', ofProducer(1, null, 'x'), 'producers.0.keys.0.key: is no verifier key'],
    ['a day that there is not', { holds: [{ ...hold, since: 9e15 }] }, 'holds.0.since'],
  ])('%s', async (_name, change, where) => {
    const folder = copy()
    forgeManifest(folder, source.id, (log) => log, change)
    const answer = await codeOf(recoverInto(empty, folder))
    expect(answer).toMatch(/^ARCHIVE_DAMAGED: \S+\/manifest\.json is not good: /)
    expect(answer).toContain(where)
  })

  it.each(['createdBy', 'topic'])('U+0000 in the %s of a checkpoint', async (member) => {
    const folder = copy()
    forgeLines(folder, source.id, 'checkpoints', (line) => ({ ...line, [member]: 'a\u0000' }))
    expect(await codeOf(recoverInto(empty, folder))).toMatch(/^ARCHIVE_DAMAGED: \S+checkpoints-\S+ /)
  })
})

it('a period shorter than a millisecond is one all the same', async () => {
  const folder = copy()
  forgeManifest(folder, source.id, (log) => log, { ...ofSigner(5_000, 5_000), ...ofProducer(7_000, 7_000) })
  const database = await emptyDatabase()
  await recoverInto(database, folder)
  const lengths = await withClient(database.adminUrl, async (client) => {
    const text = `select extract(microseconds from signs_until - signs_from)::int as n from signing_keys
       union all select extract(microseconds from valid_until - valid_from)::int from producer_keys`
    return (await client.query<{ n: number }>(text)).rows.map(({ n }) => n)
  })
  expect(lengths).toEqual([1, 1])
})
