import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AbortedTransaction } from '../../src/kafka/committed-batches.ts'
import { fetched, partsOf, recordsIn, storedBatch } from './record-sets.ts'
import { record } from './records.ts'

const transactional = 0x10
const control = 0x20

const data = (baseOffset: number, producerId: bigint, attributes = transactional) =>
  storedBatch([record(0n, { key: Buffer.alloc(4) })], { baseOffset, producerId, attributes })

const marker = (baseOffset: number, producerId: bigint, commit: boolean) =>
  storedBatch([record(0n, { key: Buffer.from([0, 0, 0, commit ? 1 : 0]), value: Buffer.alloc(6) })], {
    baseOffset,
    producerId,
    attributes: transactional | control,
  })

const offsetsOf = async (batches: Buffer[], abortedTransactions: AbortedTransaction[]) =>
  recordsIn(await partsOf(fetched(Buffer.concat(batches), { abortedTransactions }))).map(
    ({ offset }) => offset,
  )

describe('only committed data is read', () => {
  test('overlapping aborted transactions of several producers, listed in the order of their ends', async () => {
    const set = [
      data(0, 1n),
      data(1, 2n),
      data(2, 3n),
      marker(3, 2n, false),
      data(4, 1n),
      data(5, 2n),
      marker(6, 2n, true),
      marker(7, 1n, false),
      data(8, 1n),
      marker(9, 3n, true),
      marker(10, 1n, true),
    ]
    const aborted = [
      { producerId: '2', firstOffset: '1' },
      { producerId: '1', firstOffset: '0' },
    ]
    expect(await offsetsOf(set, aborted)).toEqual([2n, 5n, 8n])
  })

  test('a transaction that was aborted before this set began to be read', async () => {
    const set = [data(50, 1n), marker(51, 1n, false), data(52, 1n), marker(53, 1n, true)]
    expect(await offsetsOf(set, [{ producerId: '1', firstOffset: '7' }])).toEqual([52n])
  })

  test('records outside of transactions stay, the same producer’s and with the key of an abort marker too', async () => {
    const set = [data(0, 1n), data(1, 1n, 0), data(2, 1n), marker(3, 1n, false), data(4, 1n, 0)]
    expect(await offsetsOf(set, [{ producerId: '1', firstOffset: '0' }])).toEqual([1n, 4n])
  })

  test('whatever producers do, exactly the records of committed transactions come', async () => {
    const step = fc.record({
      producer: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('data', 'data', 'commit', 'abort', 'plain'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { set, aborted, expected } = simulate(steps)
        expect(await offsetsOf(set, aborted)).toEqual(expected)
      }),
    )
  })
})

/** A log as a broker would write it, the broker's list of aborted transactions, and what a reader must see. */
function simulate(steps: readonly { producer: number; kind: string }[]) {
  const set: Buffer[] = []
  const aborted: AbortedTransaction[] = []
  const expected: bigint[] = []
  const open = new Map<number, number[]>()
  const end = (producer: number, commit: boolean) => {
    const offsets = open.get(producer)
    if (offsets === undefined) return
    open.delete(producer)
    if (commit) expected.push(...offsets.map(BigInt))
    else aborted.push({ producerId: String(producer), firstOffset: String(offsets[0]) })
    set.push(marker(set.length, BigInt(producer), commit))
  }
  for (const { producer, kind } of steps) {
    if (kind === 'data') {
      open.set(producer, [...(open.get(producer) ?? []), set.length])
      set.push(data(set.length, BigInt(producer)))
    } else if (kind === 'plain') {
      expected.push(BigInt(set.length))
      set.push(data(set.length, BigInt(producer), 0))
    } else end(producer, kind === 'commit')
  }
  for (const producer of [...open.keys()]) end(producer, producer % 2 === 0)
  return { set, aborted, expected: expected.sort((a, b) => Number(a - b)) }
}
