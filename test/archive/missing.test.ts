/** Where a log goes on, and what is missing of it, by what Kafka says of its source. */
import { describe, expect, it } from 'vitest'
import { chainsOf, type FoundArchive, type LogChain } from '../../src/archive/chain.ts'
import { judgeMissing, type SourceView } from '../../src/archive/missing.ts'
import type { ManifestLog } from '../../src/domain/archive/manifest.ts'
import { hashFromHex } from '../../src/domain/hash.ts'
import { offset } from '../../src/domain/model.ts'
import { manifestLog, manifestOf } from '../domain/archive/manifests.ts'

const place = {} as FoundArchive['place']
const chainOf = (...logs: ManifestLog[]): readonly LogChain[] =>
  chainsOf([{ place, manifest: manifestOf(logs) }])

/** 40 leaves to offset 40; the archive says that the log went on to 47. */
const log = manifestLog({ toLeaf: 40n, toOffset: 47n })

function kafka(start: bigint, end: bigint, topicId = log.topicId): SourceView {
  return {
    describe: async () => ({ topicId, partitions: [] }) as never,
    bounds: async () => ({ start: offset(start), end: offset(end) }),
  }
}

const notesOver = (size: bigint) => [
  { name: 'a note', text: '', signedBy: [], size, root: hashFromHex('0'.repeat(64)) },
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

  it('is nothing of a log that another incarnation follows', async () => {
    const next = manifestLog({ incarnation: 2, startOffset: 47n, fromOffset: 47n, toLeaf: 3n, toOffset: 50n })
    const chains = chainOf(log, next)
    const verdict = await judgeMissing(null, chains[0] as LogChain, chains, [], 40n)
    expect(verdict).toEqual({ missing: [], nextOffset: 47n, unproven: 0n, next: null })
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
