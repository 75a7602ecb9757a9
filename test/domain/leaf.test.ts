import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashToHex } from '../../src/domain/hash.ts'
import { gapLeaf, recordLeaf, undecodableLeaf } from '../../src/domain/leaf.ts'
import { offset } from '../../src/domain/model.ts'
import { type PlainRecord, sourceRecords } from './source-records.ts'

type Case =
  | {
      kind: 'record'
      offset: string
      timestamp: string
      key: string | null
      headers: string
      value: string | null
    }
  | { kind: 'gap'; from: string; to: string }
  | { kind: 'undecodable'; firstOffset: string; lastOffset: string; timestamp: string; bytes: string }

const { cases } = JSON.parse(readFileSync(new URL('../vectors/leaves.json', import.meta.url), 'utf8')) as {
  cases: (Case & { name: string; preimage: string; leaf: string })[]
}

const bytesOf = (hex: string | null): Buffer | null => (hex === null ? null : Buffer.from(hex, 'hex'))

function leafOf(given: Case): string {
  switch (given.kind) {
    case 'record': {
      const record: PlainRecord = {
        offset: BigInt(given.offset),
        timestamp: BigInt(given.timestamp),
        key: bytesOf(given.key),
        headers: Buffer.from(given.headers, 'hex'),
        value: bytesOf(given.value),
      }
      return hashToHex(recordLeaf(sourceRecords([record]), 0))
    }
    case 'gap':
      return hashToHex(gapLeaf(offset(BigInt(given.from)), offset(BigInt(given.to))))
    case 'undecodable':
      return hashToHex(
        undecodableLeaf({
          firstOffset: offset(BigInt(given.firstOffset)),
          lastOffset: offset(BigInt(given.lastOffset)),
          timestamp: BigInt(given.timestamp),
          bytes: Buffer.from(given.bytes, 'hex'),
          detail: 'plays no part',
        }),
      )
  }
}

/** docs/evidence.md again, slowly. */
function slowLeaf(record: PlainRecord): string {
  const int64 = (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64BE(value)
    return bytes
  }
  const int32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeInt32BE(value)
    return bytes
  }
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
  const { key, headers, value } = record
  const parts: Buffer[] = [Buffer.from([0, 1, 1]), int64(record.offset), int64(record.timestamp)]
  parts.push(int32(key?.length ?? -1), key ?? Buffer.alloc(0), int32(headers.length), headers)
  parts.push(int32(value?.length ?? -1), value === null ? Buffer.alloc(0) : sha256(value))
  return sha256(Buffer.concat(parts)).toString('hex')
}

describe('leaf', () => {
  it.each(cases)('is the published one for: $name', (given) => {
    expect(leafOf(given)).toBe(given.leaf)
  })

  it('differs wherever the records differ', () => {
    expect(new Set(cases.map((given) => given.leaf)).size).toBe(cases.length)
  })

  it('follows the layout for records of any size in one batch, in any order of asking', () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
    const record: fc.Arbitrary<PlainRecord> = fc.record({
      offset: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
      timestamp: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
      key: fc.option(fc.oneof(bytes(20), bytes(300))),
      headers: fc.oneof(fc.constant(Buffer.from([0])), bytes(60), bytes(6_000)),
      value: fc.option(bytes(500)),
    })
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), (plain) => {
        const records = sourceRecords(plain)
        const indexes = plain.map((_, index) => index).reverse()
        const leaves = indexes.map((index) => hashToHex(recordLeaf(records, index)))
        expect(leaves.reverse()).toEqual(plain.map(slowLeaf))
      }),
      { numRuns: 300 },
    )
  })

  it('takes keys beyond the size of its scratch buffer, and shrinks it again', () => {
    for (const size of [70_000, 3_000_000, 10]) {
      const record = {
        offset: 1n,
        timestamp: 2n,
        key: Buffer.alloc(size, 7),
        headers: Buffer.from([0]),
        value: null,
      }
      expect(hashToHex(recordLeaf(sourceRecords([record]), 0))).toBe(slowLeaf(record))
    }
  })

  it('refuses what is no record and no gap', () => {
    const records = sourceRecords([])
    expect(() => recordLeaf(records, 0)).toThrow(RangeError)
    expect(() => gapLeaf(offset(5n), offset(5n))).toThrow(RangeError)
  })
})
