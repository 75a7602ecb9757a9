/** Where a log goes on, and what is missing of it, by what Kafka says of its source. */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { chainsOf, type LogChain } from '../../src/archive/chain.ts'
import { judgeMissing, type SourceView } from '../../src/archive/missing.ts'
import { withNotedLogs } from '../../src/archive/notedLogs.ts'
import type { ManifestLog } from '../../src/domain/archive/manifest.ts'
import { formatOrigin } from '../../src/domain/evidence/origin.ts'
import { hashFromHex } from '../../src/domain/hash.ts'
import { offset } from '../../src/domain/model.ts'
import { manifestLog, manifestOf } from '../domain/archive/manifests.ts'

const chainOf = (...logs: ManifestLog[]): readonly LogChain[] =>
  chainsOf([{ places: [], manifest: manifestOf(logs) }])

/** 40 leaves to offset 40; the archive says that the log went on to 47. */
const log = manifestLog({ toLeaf: 40n, toOffset: 47n })

function kafka(start: bigint, end: bigint, topicId = log.topicId, cleanupPolicy = 'delete'): SourceView {
  return {
    describe: async () => ({ topicId, partitions: [] }) as never,
    bounds: async () => ({ start: offset(start), end: offset(end) }),
    config: async () => ({ cleanupPolicy }) as never,
  }
}

const notesOver = (size: bigint) => [
  { name: 'a note', text: '', signedBy: [], size, isArchived: false, root: hashFromHex('0'.repeat(64)) },
]

async function judge(source: SourceView | null, promised: bigint | null = null) {
  const chains = chainOf(log)
  const held = promised === null ? [] : notesOver(promised)
  return await judgeMissing(source, chains[0] as LogChain, chains, held, 40n)
}

describe('offsets behind the last leaf', () => {
  it('are asked for again where Kafka has them, and are the word of the archive elsewhere', async () => {
    expect(await judge(kafka(0n, 60n))).toMatchObject({
      ...{ nextOffset: 40n, unproven: 0n, next: null },
      missing: [{ state: 'in-kafka', fromOffset: '40', toOffset: '60' }],
    })
    expect(await judge(kafka(45n, 60n))).toMatchObject({
      ...{ nextOffset: 47n, unproven: 7n },
      missing: [{ state: 'in-kafka', fromOffset: '47' }],
    })
    expect(await judge(null)).toMatchObject({ nextOffset: 47n, unproven: 7n })
  })
})

describe('what came after the newest archive', () => {
  it('nobody knows where Kafka was not asked, or has another topic', async () => {
    const unknown = { missing: [{ where: 'tail', state: 'unknown', fromOffset: '47', toOffset: null }] }
    expect(await judge(null)).toMatchObject(unknown)
    expect(await judge(kafka(0n, 60n, '99999999-9999-4999-8999-999999999999'))).toMatchObject(unknown)
  })

  it('is nothing of a log that another incarnation follows, if an archive holds it to its end', async () => {
    const next = manifestLog({ incarnation: 2, startOffset: 47n, fromOffset: 47n, toLeaf: 3n, toOffset: 50n })
    const verdict = async (request: object, openedMs: number) => {
      const second = { ...manifestOf([{ ...next, createdAt: openedMs }]), id: randomUUID() }
      const chains = chainsOf([
        { places: [], manifest: { ...manifestOf([log]), request: { topic: 'orders', ...request } } },
        { places: [], manifest: second },
      ])
      return await judgeMissing(null, chains[0] as LogChain, chains, [], 40n)
    }
    const madeMs = manifestOf([]).createdAt
    const whole = { missing: [], nextOffset: 47n, unproven: 0n, next: null, isThere: false }
    expect(await verdict({}, madeMs - 1)).toEqual(whole)
    expect(await verdict({ to: new Date(madeMs).toISOString() }, madeMs - 1)).toEqual(whole)
    const unknown = { missing: [{ where: 'tail', state: 'unknown', fromLeaf: '40', toLeaf: null }] }
    expect(await verdict({}, madeMs + 1)).toMatchObject(unknown)
    expect(await verdict({ to: new Date(madeMs - 1).toISOString() }, madeMs - 1)).toMatchObject(unknown)
    expect(await verdict({ partition: 0, toLeaf: '40' }, madeMs - 1)).toMatchObject(unknown)
  })

  it('nobody knows of a compacted topic', async () => {
    expect(await judge(kafka(0n, 60n, log.topicId, 'compact,delete'))).toMatchObject({
      missing: [{ state: 'unknown', fromOffset: '40', toOffset: '60' }],
    })
  })

  it('is truncated where Kafka ends below the log, and no incarnation begins where Kafka has nothing', async () => {
    const truncated = { missing: [{ state: 'truncated', fromOffset: '30', toOffset: '47' }] }
    expect(await judge(kafka(10n, 30n))).toMatchObject({ ...truncated, next: null })
    expect(await judge(kafka(10n, 30n), 40n)).toMatchObject({ ...truncated, next: null })
    expect(await judge(kafka(10n, 30n), 41n)).toMatchObject({ ...truncated, next: { startOffset: 10n } })
  })

  it('is lost where a note promises more leaves than Kafka has offsets', async () => {
    expect(await judge(kafka(0n, 50n), 60n)).toMatchObject({
      ...{ missing: [{ state: 'lost', toLeaf: '60' }], next: { startOffset: 40n } },
    })
    expect(await judge(kafka(0n, 60n), 60n)).toMatchObject({ missing: [{ state: 'in-kafka' }], next: null })
  })
})

describe('leaves that archives hold behind a hole', () => {
  const base = manifestLog({ toLeaf: 50n, toOffset: 50n })
  const range = { fromLeaf: '140', toLeaf: '150', fromOffset: '140', toOffset: '200' }
  const [file] = base.files
  const behind = { ...base, ...range, files: file === undefined ? [] : [{ ...file, lines: 10, ...range }] }
  const judged = async (source: SourceView, promised: bigint | null) => {
    const chains = chainsOf([
      { places: [], manifest: manifestOf([base]) },
      { places: [], manifest: { ...manifestOf([behind]), id: randomUUID() } },
    ])
    const held = promised === null ? [] : notesOver(promised)
    return await judgeMissing(source, chains[0] as LogChain, chains, held, 50n)
  }

  it('are in Kafka only where Kafka reaches to their end', async () => {
    expect(await judged(kafka(0n, 200n), null)).toMatchObject({
      missing: [
        { where: 'archive', state: 'in-kafka', fromOffset: '50', toOffset: '140' },
        { where: 'tail', state: 'in-kafka', fromOffset: '50', toOffset: '200' },
      ],
      next: null,
    })
    const truncated = {
      missing: [
        { where: 'archive', state: 'in-kafka', fromOffset: '50', toOffset: '140' },
        { where: 'archive', state: 'lost', fromOffset: '140', toOffset: '200' },
        { where: 'tail', state: 'truncated', fromOffset: '160', toOffset: '200' },
      ],
    }
    expect(await judged(kafka(0n, 160n), null)).toMatchObject({ ...truncated, next: null })
    // Only what is signed can be contradicted.
    expect(await judged(kafka(0n, 160n), 150n)).toMatchObject({ ...truncated, next: { startOffset: 0n } })
  })
})

describe('a log that only notes know', () => {
  const { instance, topic, partition, topicId } = log
  const noted = (incarnation: number, startOffset: bigint, other: object = {}) =>
    formatOrigin({ instance, topic, partition, topicId, incarnation, startOffset, ...other })
  const chainsWith = (...origins: string[]) =>
    withNotedLogs(chainOf(log), [log.origin, ...origins], instance, 7).map(({ origin }) => origin)

  it('comes behind the archived ones, where it is later than they are', () => {
    expect(chainsWith()).toEqual([log.origin])
    expect(chainsWith(noted(2, 47n))).toEqual([log.origin, noted(2, 47n)])
    expect(chainsWith(noted(2, 47n), noted(3, 50n))).toEqual([log.origin, noted(3, 50n)])
    expect(chainsWith(noted(1, 30n))).toEqual([log.origin])
  })

  it('is the one that began later, of two under one number', () => {
    expect(chainsWith(noted(2, 47n), noted(2, 50n))).toEqual([log.origin, noted(2, 50n)])
    expect(chainsWith(noted(2, 50n), noted(2, 47n))).toEqual([log.origin, noted(2, 50n)])
  })

  it('may be of a partition without archive, and not of another installation', () => {
    const other = noted(1, 0n, { partition: 1 })
    expect(chainsWith(other)).toEqual([log.origin, other])
    expect(chainsWith(noted(2, 47n, { instance: 'example.com/other' }), 'example.com/no-log')).toEqual([
      log.origin,
    ])
  })

  it('goes on where Kafka still has all of it, and is followed where Kafka has not', async () => {
    const chains = withNotedLogs(chainOf(log), [noted(2, 47n)], instance, 7)
    const chain = chains[1] as LogChain
    const judged = (source: SourceView) => judgeMissing(source, chain, chains, notesOver(10n), 47n)
    expect(await judged(kafka(40n, 60n))).toMatchObject({
      ...{ nextOffset: 47n, next: null, isThere: true },
      missing: [{ state: 'in-kafka', fromLeaf: '0', toLeaf: '10', fromOffset: '47', toOffset: '60' }],
    })
    expect(await judged(kafka(50n, 60n))).toMatchObject({
      missing: [{ state: 'lost', fromOffset: '47', toOffset: '50' }, { state: 'in-kafka' }],
      next: { startOffset: 50n },
    })
    expect(await judged(kafka(40n, 50n))).toMatchObject({
      ...{ missing: [{ state: 'lost', fromLeaf: '0', toLeaf: '10' }], next: { startOffset: 47n } },
    })
    const before = await judgeMissing(kafka(40n, 60n), chains[0] as LogChain, chains, notesOver(45n), 40n)
    expect(before).toMatchObject({ missing: [{ state: 'lost', fromLeaf: '40', toLeaf: '45' }], next: null })
  })
})
