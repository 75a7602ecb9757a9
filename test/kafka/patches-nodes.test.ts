import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import net, { type AddressInfo } from 'node:net'
import kafkajs, { type Consumer, type ISocketFactory } from 'kafkajs'
import { afterAll, describe, expect, test } from 'vitest'
import { BrokerLink, sendRequest } from '../../src/kafka/broker-link.ts'
import { metadataRequest } from '../../src/kafka/metadata-request.ts'
import { brokers, connectionTo, useBroker } from './broker.ts'
import { fields, type Interception, interceptingSockets } from './intercept.ts'
import { openPassage } from './passage.ts'

// What patches/kafkajs@2.2.4.patch changes for nodes that move, die or freeze; each fails with kafkajs as it was published.

const require = createRequire(import.meta.url)
const broker = useBroker()
const consumers: Consumer[] = []
afterAll(() => Promise.all(consumers.map((consumer) => consumer.disconnect())))

const adminThrough = (socketFactory: ISocketFactory, requestTimeout: number): kafkajs.Admin =>
  new kafkajs.Kafka({
    brokers: brokers(),
    logLevel: kafkajs.logLevel.NOTHING,
    requestTimeout,
    socketFactory,
    retry: { retries: 3, initialRetryTime: 20 },
  }).admin()

describe('connections', () => {
  test('half an answer from before does not spoil the answers of the next connection', async () => {
    const topic = await broker.makeTopic()
    const passage = await openPassage()
    const admin = adminThrough(passage.socketFactory, 1_500)
    await admin.connect()
    passage.breakAfter(10)
    await admin.listTopics().catch(() => undefined)
    expect(await admin.listTopics()).toContain(topic)
    await admin.disconnect()
    passage.close()
  })

  test('one on which a request timed out is given up', async () => {
    const topic = await broker.makeTopic()
    const passage = await openPassage()
    const admin = adminThrough(passage.socketFactory, 1_500)
    await admin.connect()
    passage.deafen()
    await admin.listTopics().catch(() => undefined)
    expect(await admin.listTopics()).toContain(topic)
    await admin.disconnect()
    passage.close()
  })

  test('whoever needs one at the same time shares it', async () => {
    const passage = await openPassage()
    const link = new BrokerLink(connectionTo([passage.address]), 5_000)
    const node = await link.anyNode()
    const before = passage.connections
    passage.breakAfter(0)
    await expect(sendRequest(node, metadataRequest([]))).rejects.toThrow()
    await Promise.all([1, 2, 3].map(() => sendRequest(node, metadataRequest([]))))
    expect(passage.connections).toBe(before + 1)
    link.destroy()
    passage.close()
  })
})

describe('finding a node', () => {
  interface FakeBroker {
    readonly nodeId: number
    readonly connectionPool: { heardAt(): number }
    isConnected(): boolean
    connect(): Promise<void>
    disconnect(): Promise<void>
  }
  interface Pool {
    brokers: Record<string, FakeBroker>
    withBroker<T>(work: (found: { nodeId: string }) => Promise<T>): Promise<T | null>
    findConnectedBroker(): Promise<FakeBroker>
  }
  const quiet = { debug: () => undefined, error: () => undefined }
  const logger = { namespace: () => quiet }
  const nodeAway = () => Object.assign(new Error('away'), { name: 'KafkaJSConnectionError', retriable: true })
  const fake = (nodeId: number, heardMs: number, isThere = true): FakeBroker => ({
    nodeId,
    connectionPool: { heardAt: () => heardMs },
    isConnected: () => isThere,
    connect: () => Promise.reject(nodeAway()),
    disconnect: async () => undefined,
  })
  const poolOf = (...members: FakeBroker[]): Pool => {
    const BrokerPool = require('kafkajs/src/cluster/brokerPool.js') as new (options: unknown) => Pool
    const pool = new BrokerPool({ logger, retry: { retries: 1, initialRetryTime: 1 } })
    pool.brokers = Object.fromEntries(members.map((member) => [member.nodeId, member]))
    return pool
  }

  test('a seed that takes connections and never answers is left for the next one', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => undefined).resume())
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const topic = await broker.makeTopic()
    const admin = new kafkajs.Kafka({
      brokers: [`127.0.0.1:${(silent.address() as AddressInfo).port}`, ...brokers()],
      logLevel: kafkajs.logLevel.NOTHING,
      connectionTimeout: 1_500,
      requestTimeout: 1_500,
      retry: { retries: 3, initialRetryTime: 20 },
    }).admin()
    await admin.connect()
    expect(await admin.listTopics()).toContain(topic)
    await admin.disconnect()
    silent.close()
  })

  test('the connected node that was heard last is asked, not any that is connected', async () => {
    const pool = poolOf(fake(1, 10), fake(2, 30), fake(3, 20))
    for (let draw = 0; draw < 20; draw++) expect((await pool.findConnectedBroker()).nodeId).toBe(2)
  })

  test('a node that is away does not keep the others from being asked', async () => {
    const pool = poolOf(fake(1, 0, false), fake(2, 0), fake(3, 0, false))
    for (let draw = 0; draw < 20; draw++)
      expect(await pool.withBroker(async ({ nodeId }) => nodeId)).toBe('2')
  })

  test('a coordinator that cannot be reached is looked for again, however that shows', async () => {
    const Cluster = require('kafkajs/src/cluster/index.js') as new (
      options: unknown,
    ) => {
      findGroupCoordinatorMetadata: () => Promise<unknown>
      findBroker: () => Promise<unknown>
      findGroupCoordinator(request: { groupId: string }): Promise<unknown>
    }
    const cluster = new Cluster({
      logger,
      brokers: brokers(),
      retry: { retries: 3, initialRetryTime: 1 },
      requestTimeout: 100,
    })
    let asked = 0
    cluster.findGroupCoordinatorMetadata = async () => ({ coordinator: { nodeId: 1 } })
    cluster.findBroker = async () => {
      asked++
      if (asked < 3) throw nodeAway()
      return 'found'
    }
    expect(await cluster.findGroupCoordinator({ groupId: 'g' })).toBe('found')
  })
})

const fetch = 1
const joinGroup = 11
const heartbeat = 12

/** The first answer of Fetch v11 to a reader of one partition, without records. */
function fetchAnswer(topic: string, errorCode: string): Buffer {
  const name = Buffer.from(topic)
  const length = name.length.toString(16).padStart(4, '0')
  const offsets = '0000000000000000 '.repeat(3)
  return Buffer.concat([
    fields(`00000000 0000 00000000 00000001 ${length}`),
    name,
    fields(`00000001 00000000 ${errorCode} ${offsets} ffffffff ffffffff 00000000`),
  ])
}

describe('a consumer whose nodes move or are away', () => {
  /** Runs a consumer of one topic through what is intercepted, until it has read the last of its records. */
  async function readThrough(topic: string, interceptions: readonly Interception[]) {
    const sockets = interceptingSockets(interceptions)
    const kafka = new kafkajs.Kafka({
      brokers: brokers(),
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: sockets.socketFactory,
    })
    const consumer = kafka.consumer({
      groupId: `kafkatest-${randomUUID()}`,
      heartbeatInterval: 10,
      sessionTimeout: 10_000,
      maxWaitTimeInMs: 50,
      retry: { retries: 2, initialRetryTime: 20, restartOnFailure: async () => false },
    })
    consumers.push(consumer)
    const members: string[] = []
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => void members.push(payload.memberId))
    const crashed = new Promise<'crashed'>((resolve) =>
      consumer.on(consumer.events.CRASH, () => resolve('crashed')),
    )
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const first = Promise.withResolvers<void>()
    const last = Promise.withResolvers<'read'>()
    await consumer.run({
      eachMessage: async ({ message }) => {
        first.resolve()
        if (String(message.key) === 'last') last.resolve('read')
      },
    })
    await broker.produce(topic, 0, 1)
    await first.promise
    sockets.arm()
    const caught = () => interceptions.every(({ apiKey, times }) => sockets.caught(apiKey) === times)
    const sender = broker.kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await sender.connect()
    const going = new Promise<'read'>((resolve) => {
      const look = setInterval(() => {
        if (!caught()) return
        clearInterval(look)
        void sender.send({ topic, messages: [{ key: 'last', value: '' }] })
        void last.promise.then(resolve)
      }, 20)
      void crashed.then(() => clearInterval(look))
    })
    const end = await Promise.race([going, crashed])
    await sender.disconnect()
    return { end, members }
  }

  test.each([
    ['leadership has moved', '0006'],
    ['the leader has another epoch', '004a'],
  ])('%s: it looks for the leader again, and nobody joins again', async (_, code) => {
    const topic = await broker.makeTopic()
    const { end, members } = await readThrough(topic, [
      { apiKey: fetch, times: 5, answer: fetchAnswer(topic, code) },
    ])
    expect(end).toBe('read')
    expect(members).toHaveLength(1)
  })

  test('connections to a leader break, more often than errors are tried again', async () => {
    const topic = await broker.makeTopic()
    const { end, members } = await readThrough(topic, [{ apiKey: fetch, times: 10, answer: null }])
    expect(end).toBe('read')
    expect(members).toHaveLength(1)
  })

  test.each([
    ['connections to the coordinator break', null],
    ['the coordinator loads', fields('00000000 000e')],
  ])('%s: it joins again, as the member that it was', async (_, answer) => {
    const topic = await broker.makeTopic()
    const { end, members } = await readThrough(topic, [{ apiKey: heartbeat, times: 5, answer }])
    expect(end).toBe('read')
    expect(members.length).toBeGreaterThan(1)
    expect(new Set(members).size).toBe(1)
  })

  test('no coordinator for longer than it is searched for at once', async () => {
    const topic = await broker.makeTopic()
    // JoinGroup v5: COORDINATOR_NOT_AVAILABLE, no generation, protocol, leader, member, members.
    const nobody = fields('00000000 000f ffffffff 0000 0000 0000 00000000')
    const { end } = await readThrough(topic, [
      { apiKey: heartbeat, times: 2, answer: fields('00000000 0010') },
      { apiKey: joinGroup, times: 5, answer: nobody },
    ])
    expect(end).toBe('read')
  })
})
