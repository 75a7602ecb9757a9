import fc from 'fast-check'
import { expect, it } from 'vitest'
import { addedHeaderBytes, replayHeaders } from '../../activities/replayHeaders.ts'
import { hashToHex, sha256 } from '../../src/domain/hash.ts'
import { leafIndex, offset } from '../../src/domain/model.ts'
import type { EventPage } from '../../src/ports.ts'
import { wireHeaders } from '../kafka/records.ts'
import { sourceRecords } from '../store/entries.ts'

const origin = { replayId: 'r-1', topic: 'events', partition: 7 }
const text = (value: string) => Buffer.from(value)

type Headers = (readonly [string, Buffer | null])[]

function pageOf(all: readonly Headers[], firstOffset: bigint): EventPage {
  const specs = all.map((headers, index) => ({
    offset: firstOffset + BigInt(index),
    headers: wireHeaders(headers),
  }))
  return {
    records: sourceRecords(specs),
    leaves: [],
    contentHashes: specs.map((spec) => sha256(String(spec.offset))),
    leafIndexes: BigInt64Array.from(specs.map(() => leafIndex(0n))),
    next: offset(firstOffset + BigInt(all.length)),
    scanned: all.length,
  }
}

const added = [
  'replay-id',
  'replay-source-topic',
  'replay-source-partition',
  'replay-source-offset',
  'replay-event-hash',
]

/** The slow and obvious way. */
function expected(headers: Headers, at: bigint): Buffer {
  const values = ['r-1', 'events', '7', String(at), hashToHex(sha256(String(at)))]
  return wireHeaders([
    ...headers.filter(([name]) => !added.includes(name)),
    ...added.map((name, index) => [name, text(values[index] ?? '')] as const),
  ])
}

it('keeps headers of every kind as they are, but for those with an added name', () => {
  const name = fc.oneof(
    fc.constantFrom(...added, 'replay-', 'replay-idx', 'r', ''),
    fc.string({ unit: 'grapheme', maxLength: 90 }),
  )
  const value = fc.option(fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)))
  const headers = fc.oneof(
    fc.array(fc.tuple(name, value), { maxLength: 6 }),
    fc.array(fc.tuple(fc.constant('h'), fc.constant(null)), { minLength: 50, maxLength: 150 }),
  )
  const firstOffset = fc.bigInt({ min: 0n, max: 2n ** 63n - 20n })
  fc.assert(
    fc.property(fc.array(headers, { maxLength: 8 }), firstOffset, (all, first) => {
      const headersOf = replayHeaders(origin)(pageOf(all, first))
      // Twice: a page that does not fit one batch is encoded again from its middle.
      for (const order of [all.keys(), all.keys()]) {
        for (const index of order)
          expect(headersOf(index)).toEqual(expected(all[index] ?? [], first + BigInt(index)))
      }
    }),
  )
})

it('says how much it adds at most', () => {
  const longest = expected([], 2n ** 63n - 1n)
  expect(longest.length).toBeLessThanOrEqual(addedHeaderBytes(origin) + 1)
})
