import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import { afterAll, describe, expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { FencedError } from '../../src/kafka/faults.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import type { ProducePage, TransactionLane, TransactionLaneOptions } from '../../src/ports.ts'
import { useBroker } from './broker.ts'
import { type PlainRecord, record, sourceRecords, wireHeaders } from './records.ts'

const broker = useBroker()
const factory = createTransactionLaneFactory(broker.connection)
const never = new AbortController().signal
const lanes: TransactionLane[] = []
afterAll(() => Promise.all(lanes.map((lane) => lane.close())))

const wide = { 'message.timestamp.after.max.ms': '9223372036854775807', 'retention.ms': '-1' }

const optionsFor = (targetTopic: string, given: Partial<TransactionLaneOptions> = {}) => {
  const id = `kafkatest-${randomUUID()}`
  const defaults = { maxMessageBytes: 1_048_588, transactionTimeoutMs: 30_000 }
  return { transactionalId: id, groupId: id, targetTopic, ...defaults, ...given }
}

async function open(options: TransactionLaneOptions, signal = never): Promise<TransactionLane> {
  const lane = await factory.open(options, signal)
  lanes.push(lane)
  return lane
}

const pageOf = (records: readonly PlainRecord[]): ProducePage => ({
  records: sourceRecords(records),
  selected: null,
  headersOf: null,
})

const cursorAt = (value: bigint, metadata = '') => ({ offset: offset(value), metadata })

describe('what is sent is what was stored', () => {
  test('keys, values, headers and timestamps arrive byte for byte', async () => {
    const topic = await broker.makeTopic(1, wide)
    const lane = await open(optionsFor(topic))
    const odd: Partial<PlainRecord>[] = [
      { key: null, value: null },
      { key: Buffer.alloc(0), value: Buffer.alloc(0) },
      { key: Buffer.alloc(4), value: Buffer.from([0xff, 0xfe, 0]) },
      {
        headers: [
          ['b', Buffer.from('1')],
          ['a', null],
          ['b', Buffer.from('2')],
          ['10', Buffer.alloc(0)],
          ['2', Buffer.from('x')],
        ],
      },
      {
        headers: [
          ['', Buffer.alloc(300, 7)],
          ['\u0000é😀', Buffer.from([0])],
        ],
      },
      { timestamp: -1n },
      { timestamp: 0n },
      { timestamp: 1n },
      { timestamp: 253_402_300_799_999n },
      { timestamp: 9_223_372_036_854_775_807n },
      { value: Buffer.alloc(500_000, 'v') },
    ]
    const records = odd.map((given, i) => record(BigInt(i), given))
    await lane.begin()
    await lane.send(0, pageOf(records))
    await lane.commit(cursorAt(7n))
    const expected = records.map((given) => ({ ...given, headers: wireHeaders(given.headers) }))
    expect(await broker.readCommitted(topic)).toEqual(expected)
  })

  test('pages over the size limit are split in order; selections and replaced headers are kept to', async () => {
    const topic = await broker.makeTopic(2, wide)
    const lane = await open(optionsFor(topic, { maxMessageBytes: 2_000 }))
    const records = Array.from({ length: 300 }, (_, i) =>
      record(BigInt(i), { value: Buffer.alloc(i * 5, 'a') }),
    )
    const selected = Int32Array.from({ length: 150 }, (_, i) => 2 * i)
    const headersOf = (index: number) => wireHeaders([['replay-source-offset', Buffer.from(String(index))]])
    await lane.begin()
    await lane.send(1, { records: sourceRecords(records), selected, headersOf })
    await lane.send(1, pageOf(records.slice(0, 3)))
    await lane.commit(cursorAt(300n))
    const read = await broker.readCommitted(topic, 1)
    expect(read.map(({ value }) => value?.length)).toEqual([...[...selected].map((i) => i * 5), 0, 5, 10])
    expect(read[149]?.headers).toEqual(headersOf(298))
    expect(await broker.readCommitted(topic, 0)).toEqual([])
  })
})

describe('the cursor', () => {
  test('there is none at first; then it is what was committed last, aborted ones forgotten', async () => {
    const topic = await broker.makeTopic()
    const lane = await open(optionsFor(topic))
    await lane.begin()
    expect(await lane.readCursor()).toBeNull()
    await lane.commit(cursorAt(-9n, 'negative'))
    await lane.begin()
    expect(await lane.readCursor()).toEqual(cursorAt(-9n, 'negative'))
    await lane.send(0, pageOf([record(1n)]))
    await lane.abort()
    await lane.begin()
    await lane.commit(cursorAt(9_007_199_254_740_993n, 'x'.repeat(4_096)))
    await lane.begin()
    expect(await lane.readCursor()).toEqual(cursorAt(9_007_199_254_740_993n, 'x'.repeat(4_096)))
    expect(await broker.readCommitted(topic)).toEqual([])
  })

  test('pages without records commit theirs straight after one another', async () => {
    const lane = await open(optionsFor(await broker.makeTopic()))
    for (let page = 1n; page <= 30n; page++) {
      await lane.begin()
      await lane.commit(cursorAt(page))
    }
    await lane.begin()
    expect(await lane.readCursor()).toEqual(cursorAt(30n))
  })

  test('a pending transaction is waited for, never read past', async () => {
    const topic = await broker.makeTopic()
    const options = optionsFor(topic)
    const lane = await open(options)
    await lane.begin()
    await lane.commit(cursorAt(1n))
    const other = broker.kafka.producer({
      transactionalId: `kafkatest-${randomUUID()}`,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    await other.connect()
    const pending = await other.transaction()
    const partitions = [{ partition: 0, offset: '2' }]
    await pending.sendOffsets({ consumerGroupId: options.groupId, topics: [{ topic, partitions }] })
    await lane.begin()
    const reading = lane.readCursor()
    const first = await Promise.race([reading.then(() => 'read'), sleep(400, 'still waiting')])
    expect(first).toBe('still waiting')
    await pending.commit()
    expect(await reading).toEqual(cursorAt(2n))
    await other.disconnect()
  })
})

describe('fencing', () => {
  test('a second lane on the same id stops the first, whose open transaction never shows', async () => {
    const topic = await broker.makeTopic()
    const options = optionsFor(topic)
    const old = await open(options)
    await old.begin()
    await old.send(0, pageOf([record(1n)]))
    const next = await open(options)
    await next.begin()
    const failure = await old.commit(cursorAt(1n)).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(FencedError)
    expect(failure).toMatchObject({ code: 'KAFKA_UNAVAILABLE', fenced: true })
    expect(await next.readCursor()).toBeNull()
    await next.send(0, pageOf([record(2n)]))
    await next.commit(cursorAt(2n))
    expect((await broker.readCommitted(topic)).map(({ key }) => key?.toString())).toEqual(['k2'])
  })

  test('fence answers the final cursor, and the lane before it can add nothing', async () => {
    const topic = await broker.makeTopic()
    const options = optionsFor(topic)
    const lane = await open(options)
    await lane.begin()
    await lane.send(0, pageOf([record(1n)]))
    await lane.commit(cursorAt(1n, 'm'))
    await lane.begin()
    expect(await factory.fence(options, never)).toEqual(cursorAt(1n, 'm'))
    await expect(lane.send(0, pageOf([record(2n)]))).rejects.toThrow(/INVALID_PRODUCER_EPOCH|PRODUCER_FENCED/)
    expect(await broker.readCommitted(topic)).toHaveLength(1)
    expect(await factory.fence(optionsFor(topic), never)).toBeNull()
  })
})

describe('a target that refuses', () => {
  test('a record over the limit is named by its source offset, wherever it stands in the page', async () => {
    const topic = await broker.makeTopic(1, { ...wide, 'max.message.bytes': '10000' })
    const lane = await open(optionsFor(topic))
    const records = Array.from({ length: 40 }, (_, i) =>
      record(1_000n + BigInt(i), { value: Buffer.alloc(i === 27 ? 20_000 : 100) }),
    )
    await lane.begin()
    await expect(lane.send(0, pageOf(records))).rejects.toMatchObject({
      code: 'TARGET_REJECTED',
      message: expect.stringContaining('1027'),
    })
    await lane.abort()
    await lane.begin()
    await lane.send(0, pageOf(records.slice(0, 27)))
    await lane.commit(cursorAt(1_027n))
    expect(await broker.readCommitted(topic)).toHaveLength(27)
  })

  test('a timestamp out of range is named by its source offset', async () => {
    const topic = await broker.makeTopic(1, { 'message.timestamp.after.max.ms': '3600000' })
    const lane = await open(optionsFor(topic))
    const records = [10n, 11n, 12n].map((at) =>
      record(at, at === 11n ? { timestamp: 4_102_444_800_000n } : {}),
    )
    await lane.begin()
    await expect(lane.send(0, pageOf(records))).rejects.toMatchObject({
      code: 'TARGET_REJECTED',
      message: `topic ${topic} rejected the event at source offset 11: INVALID_TIMESTAMP`,
    })
  })
})

describe('an unknown outcome', () => {
  test('poisons the lane: later calls refuse', async () => {
    const topic = await broker.makeTopic()
    const lane = await open(optionsFor(topic))
    await lane.begin()
    await expect(lane.send(5, pageOf([record(1n)]))).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    await expect(lane.send(0, pageOf([record(1n)]))).rejects.toThrow(
      'the lane failed before and must be replaced',
    )
    await expect(lane.commit(cursorAt(1n))).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  })

  test('an abort signal ends a call at once', async () => {
    const topic = await broker.makeTopic()
    const cancel = new AbortController()
    const lane = await open(optionsFor(topic), cancel.signal)
    await lane.begin()
    const sending = lane.send(0, pageOf([record(1n)]))
    const started = performance.now()
    cancel.abort()
    await expect(sending).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    expect(performance.now() - started).toBeLessThan(5_000)
    await expect(lane.begin()).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
  })

  test('cut off anywhere, the next lane’s cursor tells exactly what is on the target', async () => {
    const topic = await broker.makeTopic()
    const options = optionsFor(topic)
    /** What a transaction takes on this machine; the first ones are not cut off. */
    let tookMs = 0
    for (let round = 0; round < 25; round++) {
      const cancel = new AbortController()
      const lane = await open(options, cancel.signal)
      await lane.begin()
      const position = Number((await lane.readCursor())?.offset ?? 0n)
      if (round === 0) {
        const startedAt = performance.now()
        await produceFrom(lane, position, 5)
        tookMs = (performance.now() - startedAt) / 5
        cancel.abort()
      } else {
        const timer = setTimeout(() => cancel.abort(), (tookMs * round) / 8)
        const failure = await produceFrom(lane, position).catch((error: unknown) => error)
        clearTimeout(timer)
        expect(failure).toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
      }
      await lane.close()
    }
    const cursor = await factory.fence(options, never)
    const keys = (await broker.readCommitted(topic)).map(({ key }) => key?.toString())
    expect(keys).toEqual(Array.from({ length: Number(cursor?.offset ?? 0n) }, (_, i) => `k${i}`))
    expect(keys.length).toBeGreaterThan(15)
  })
})

/** Commits transactions of three records and their cursor. */
async function produceFrom(
  lane: TransactionLane,
  start: number,
  transactions = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let position = start; position < start + 3 * transactions; position += 3) {
    if (position > start) await lane.begin()
    await lane.send(0, pageOf([0, 1, 2].map((i) => record(BigInt(position + i)))))
    await lane.commit(cursorAt(BigInt(position + 3)))
  }
}
