import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import fc from 'fast-check'
import { compressFrame } from 'lz4-napi'
import { compress } from 'snappy'
import { describe, expect, test } from 'vitest'
import { MAX_UNPACKED_BATCH_BYTES } from '../../src/domain/leaf.ts'
import { lz4UnpackedSize } from '../../src/kafka/lz4-frame.ts'
import { xerialFrame } from '../../src/kafka/snappy-frame.ts'
import { type FetchedSet, openSourceBatch } from '../../src/kafka/source-batch.ts'
import { codecNames, SMALL_UNPACKED_BYTES, unpack } from '../../src/kafka/unpack.ts'
import { fetched, partsOf, recordsIn, storedBatch, undecodableIn } from './record-sets.ts'
import { record, wireHeaders } from './records.ts'

const packers: Record<string, (plain: Buffer) => Promise<Buffer>> = {
  none: async (plain) => plain,
  gzip: promisify(zlib.gzip),
  snappy: (plain) => compress(plain),
  lz4: (plain) => compressFrame(plain),
  zstd: promisify(zlib.zstdCompress),
}
const pack = (name: string, plain: Buffer): Promise<Buffer> => {
  const packer = packers[name]
  if (packer === undefined) throw new Error(name)
  return packer(plain)
}
const codec = (name: string): number => (codecNames as readonly string[]).indexOf(name)
const compressing = codecNames.slice(1)

describe.each(codecNames)('%s', (name) => {
  test('what Java’s producer wrote is read whole', async () => {
    const set = readFileSync(new URL(`vectors/java-4.1.1-${name}.bin`, import.meta.url))
    const records = recordsIn(await partsOf(fetched(set)))
    expect(records).toHaveLength(200)
    for (const [n, { offset, key, value, headers }] of records.entries()) {
      expect(offset).toBe(BigInt(n))
      expect(key?.toString()).toBe(`key-${n % 7}`)
      expect(value?.toString()).toBe(`{"n":${n},"text":"the same words again and again, the same words"}`)
      const sent = [['a', '1'] as const, ['a', '2'] as const, ['z', String(n)] as const]
      expect(headers).toEqual(wireHeaders(sent.map(([key_, given]) => [key_, Buffer.from(given)])))
    }
  })

  test('any bytes come back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 5_000 }),
        fc.integer({ min: 1, max: 60 }),
        async (some, times) => {
          const plain = Buffer.concat(Array.from({ length: times }, () => Buffer.from(some)))
          expect(await unpack(codec(name), await pack(name, plain))).toEqual({ ok: true, bytes: plain })
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe.each(compressing)('%s, hostile', (name) => {
  test('garbage and cut data are refused with a reason', async () => {
    const packed = await pack(name, Buffer.alloc(5_000, 'abc'))
    for (const bad of [Buffer.from('garbage, no frame of anything'), packed.subarray(0, packed.length - 3)]) {
      const unpacked = await unpack(codec(name), bad)
      expect(unpacked).toMatchObject({ ok: false })
    }
  })

  test('a batch of exactly the limit is read, one byte more is not', async () => {
    const atLimit = await pack(name, Buffer.alloc(MAX_UNPACKED_BATCH_BYTES))
    expect(await unpack(codec(name), atLimit)).toMatchObject({ ok: true })
    const over = await pack(name, Buffer.alloc(MAX_UNPACKED_BATCH_BYTES + 1))
    expect(await unpack(codec(name), over)).toEqual({
      ok: false,
      problem: 'it unpacks to more than 67108864 bytes',
    })
  })

  test('a bomb of 200 MB becomes one undecodable batch, in bounded memory', async () => {
    const payload = await pack(name, Buffer.alloc(200_000_000))
    const set = storedBatch([], { attributes: codec(name), count: 1, payload, lastOffsetDelta: 4 })
    const before = process.memoryUsage().rss
    let peak = before
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss)
    }, 1)
    const parts = await partsOf(fetched(set))
    clearInterval(watch)
    peak = Math.max(peak, process.memoryUsage().rss)
    const [batch] = undecodableIn(parts)
    expect(batch).toMatchObject({ firstOffset: 0n, lastOffset: 4n })
    expect(batch?.bytes.equals(set)).toBe(true)
    expect((peak - before) / 2 ** 20).toBeLessThan(180)
  })
})

describe('frames', () => {
  test('snappy as Java frames it, several blocks and several streams', async () => {
    const parts = [Buffer.alloc(40_000, 'x'), Buffer.from('y'), Buffer.alloc(0)]
    const blocks = await Promise.all(parts.map((part) => compress(part)))
    const framed = xerialFrame(blocks)
    expect(await unpack(2, framed)).toEqual({ ok: true, bytes: Buffer.concat(parts) })
    const twice = Buffer.concat([framed, framed])
    expect(await unpack(2, twice)).toEqual({ ok: true, bytes: Buffer.concat([...parts, ...parts]) })
    expect(await unpack(2, framed.subarray(0, framed.length - 1))).toMatchObject({ ok: false })
  })

  test('an LZ4 frame’s size is found exactly without unpacking it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 3_000 }),
        fc.integer({ min: 1, max: 200 }),
        async (some, times) => {
          const plain = Buffer.concat(Array.from({ length: times }, () => Buffer.from(some)))
          expect(lz4UnpackedSize(await compressFrame(plain), 0)).toBe(plain.length)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('an LZ4 frame that lies about its content size is judged by its blocks', async () => {
    const frame = await compressFrame(Buffer.alloc(1_000, 'z'))
    const lying = Buffer.concat([frame.subarray(0, 6), Buffer.alloc(8, 0x7f), frame.subarray(6)])
    lying[4] = (lying[4] ?? 0) | 0x08
    expect(lz4UnpackedSize(lying, 0)).toBe(1_000)
    expect(await unpack(3, lying)).toMatchObject({ ok: false })
  })

  test('records of a packed batch are read like plain ones', async () => {
    const records = Array.from({ length: 50 }, (_, i) => record(BigInt(i)))
    const plain = storedBatch(records).subarray(61)
    for (const name of compressing) {
      const payload = await pack(name, plain)
      const set = storedBatch([record(0n)], {
        attributes: codec(name),
        count: 50,
        lastOffsetDelta: 49,
        payload,
      })
      expect(recordsIn(await partsOf(fetched(set))).map(({ value }) => value?.toString())).toEqual(
        records.map(({ value }) => value?.toString()),
      )
    }
  })
})

describe('large batches', () => {
  const packed = async (valueBytes: number) => {
    const plain = storedBatch([record(0n, { value: Buffer.alloc(valueBytes, 'large ') })]).subarray(61)
    const payload = await pack('zstd', plain)
    return fetched(storedBatch([record(0n)], { attributes: codec('zstd'), payload }))
  }
  const opened = (set: FetchedSet) => openSourceBatch(set).parts()[Symbol.asyncIterator]()

  test('one is open at a time, however many there are; small ones do not wait for it', async () => {
    const large = await packed(SMALL_UNPACKED_BYTES + 1)
    const [first, second, third] = [opened(large), opened(large), opened(large)]
    expect((await first.next()).value).toMatchObject({ kind: 'records', isLarge: true })
    let next: unknown = null
    const waiting = second.next().then((result) => {
      next = result
      return result
    })
    const small = await opened(await packed(1_000)).next()
    expect(small.value).toMatchObject({ kind: 'records', isLarge: false })
    await sleep(500)
    expect(next).toBeNull()
    expect((await first.next()).done).toBe(true)
    expect((await waiting).value).toMatchObject({ kind: 'records', isLarge: true })
    // Whoever breaks off is done with it too.
    await second.return?.()
    expect((await third.next()).value).toMatchObject({ kind: 'records', isLarge: true })
    await third.return?.()
  })
})
