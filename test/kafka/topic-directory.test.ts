import net from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { readTopicConfig } from '../../src/kafka/topic-config.ts'
import { createTopicDirectory } from '../../src/kafka/topic-directory.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import { brokers, connectionTo, useBroker } from './broker.ts'

const broker = useBroker()
const { directory } = broker
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

describe('topics', () => {
  test('one that does not exist, or cannot, is null', async () => {
    expect(await directory.describe('kafkatest-nowhere')).toBeNull()
    expect(await directory.describe('not a valid/name')).toBeNull()
  })

  test('creating tells id and partitions, and leaves an existing topic as it is', async () => {
    const topic = await broker.makeTopic(3, { 'retention.ms': '-1', 'max.message.bytes': '12345' })
    const created = await directory.describe(topic)
    expect(created).toMatchObject({ topic, topicId: expect.stringMatching(uuid) })
    expect(created?.partitions.map(({ partition }) => partition)).toEqual([0, 1, 2])
    expect(created?.partitions.every(({ leader, leaderEpoch }) => leader > 0 && leaderEpoch === 0)).toBe(true)
    expect(await directory.create(topic, 7, {})).toEqual(created)
    expect(await directory.config(topic)).toMatchObject({
      cleanupPolicy: 'delete',
      retentionMs: -1n,
      maxMessageBytes: 12_345,
      timestampType: 'CreateTime',
      timestampBeforeMaxMs: 9_223_372_036_854_775_807n,
    })
  })

  test('a configuration that Kafka refuses is named', async () => {
    const topic = 'kafkatest-refused'
    await expect(directory.create(topic, 1, { 'no.such.setting': '1' })).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: `topic ${topic} cannot be created: INVALID_CONFIG`,
    })
  })

  test('brokers before 3.6 have one timestamp limit for both directions', () => {
    const entries = {
      'message.timestamp.difference.max.ms': '77',
      'cleanup.policy': 'compact',
      'retention.ms': '1',
    }
    const more = {
      'retention.bytes': '-1',
      'max.message.bytes': '9',
      'message.timestamp.type': 'LogAppendTime',
    }
    const listed = Object.entries({ ...entries, ...more })
    expect(readTopicConfig(listed.map(([configName, configValue]) => ({ configName, configValue })))).toEqual(
      {
        cleanupPolicy: 'compact',
        retentionMs: 1n,
        retentionBytes: -1n,
        maxMessageBytes: 9,
        timestampType: 'LogAppendTime',
        timestampAfterMaxMs: 77n,
        timestampBeforeMaxMs: 77n,
      },
    )
  })
})

describe('positions', () => {
  test('bounds and the end of an epoch follow what is written and deleted', async () => {
    const topic = await broker.makeTopic(2)
    expect(await directory.bounds(topic, 1)).toEqual({ start: 0n, end: 0n })
    await broker.produce(topic, 1, 10)
    expect(await directory.bounds(topic, 1)).toEqual({ start: 0n, end: 10n })
    const admin = broker.kafka.admin()
    await admin.connect()
    // kafkajs deletes only where it has asked for offsets before.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '4' }] })
    await admin.disconnect()
    expect(await directory.bounds(topic, 1)).toEqual({ start: 4n, end: 10n })
    expect(await directory.epochEnd(topic, 1, 0)).toBe(10n)
    expect(await directory.epochEnd(topic, 1, 9)).toBeNull()
  })

  test('of a topic that does not exist there are none, said at once', async () => {
    const started = performance.now()
    for (const ask of [
      directory.bounds('kafkatest-nowhere', 0),
      directory.currentTopicId('kafkatest-nowhere', 0),
    ]) {
      await expect(ask).rejects.toMatchObject({
        code: 'KAFKA_UNAVAILABLE',
        message: expect.stringContaining('the topic does not exist'),
      })
    }
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})

describe('topic ids', () => {
  test('a topic made again has another id, and an ask that begins afterwards is told', async () => {
    const topic = await broker.makeTopic()
    const first = (await directory.describe(topic))?.topicId
    expect(await directory.currentTopicId(topic, 0)).toBe(first)
    const early = Array.from({ length: 20 }, () => directory.currentTopicId(topic, 0))
    expect(new Set(await Promise.all(early))).toEqual(new Set([first]))
    await broker.deleteTopic(topic)
    await broker.gone(topic)
    const again = await directory.create(topic, 1, {})
    expect(again.topicId).not.toBe(first)
    const late = Array.from({ length: 20 }, () => directory.currentTopicId(topic, 0))
    expect(new Set(await Promise.all(late))).toEqual(new Set([again.topicId]))
  })
})

describe('when Kafka is away', () => {
  const closers: (() => void)[] = []
  afterAll(() => {
    for (const close of closers) close()
  })

  test('a call ends within its ten seconds and says why', async () => {
    const away = createTopicDirectory(connectionTo(['127.0.0.1:1']))
    closers.push(() => away.close())
    const started = performance.now()
    await expect(away.ping()).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: 'Kafka does not answer: ECONNREFUSED at 127.0.0.1:1',
    })
    expect(performance.now() - started).toBeLessThan(20_000)
  })

  test('an abort signal ends a call at once', async () => {
    const silent = await proxy(closers, () => 'silent')
    const away = createTopicDirectory(connectionTo([silent.address]))
    closers.push(() => away.close())
    const cancel = new AbortController()
    setTimeout(() => cancel.abort(), 50)
    const started = performance.now()
    await expect(away.describe('kafkatest-nowhere', cancel.signal)).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    })
    expect(performance.now() - started).toBeLessThan(8_000)
  })

  test('it reconnects by itself when Kafka is back', async () => {
    let mode: 'open' | 'refuse' = 'open'
    const refused = Promise.withResolvers<void>()
    const between = await proxy(closers, () => {
      if (mode === 'refuse') refused.resolve()
      return mode
    })
    const away = createTopicDirectory(connectionTo([between.address]))
    closers.push(() => away.close())
    await away.ping()
    mode = 'refuse'
    between.cut()
    const waiting = away.ping()
    await refused.promise
    mode = 'open'
    await waiting
    between.cut()
    await away.ping()
  })

  test('a lane cannot open, and says so', async () => {
    const lanes = createTransactionLaneFactory(connectionTo(['127.0.0.1:1']))
    const options = {
      transactionalId: 'x',
      groupId: 'x',
      targetTopic: 'x',
      maxMessageBytes: 1,
      transactionTimeoutMs: 1,
    }
    await expect(lanes.open(options, new AbortController().signal)).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: 'the lane cannot connect: ECONNREFUSED at 127.0.0.1:1',
    })
  })
})

/** A TCP proxy before the broker that can be cut, refuse, or take a connection and say nothing. */
async function proxy(closers: (() => void)[], mode: () => 'open' | 'refuse' | 'silent') {
  const [host = '', port = ''] = (brokers()[0] ?? '').split(':')
  const sockets = new Set<net.Socket>()
  const keep = (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = net.createServer((client) => {
    keep(client)
    if (mode() === 'refuse') client.destroy()
    if (mode() !== 'open') return
    const upstream = net.connect(Number(port), host)
    keep(upstream)
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    cut()
    server.close()
  })
  const { port: own } = server.address() as net.AddressInfo
  return { address: `127.0.0.1:${own}`, cut }
}
