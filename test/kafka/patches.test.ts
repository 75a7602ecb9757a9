import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import net from 'node:net'
import { promisify } from 'node:util'
import kafkajs, { type Consumer, type ISocketFactory, type PartitionAssigner } from 'kafkajs'
import { afterAll, describe, expect, test } from 'vitest'
import { offset } from '../../src/domain/model.ts'
import { createTransactionLaneFactory } from '../../src/kafka/transaction-lane.ts'
import { brokers, useBroker } from './broker.ts'
import { record, sourceRecords } from './records.ts'

// One block per hunk of patches/kafkajs@2.2.4.patch; each fails with kafkajs as it was published.

const require = createRequire(import.meta.url)
const broker = useBroker()
const lanes = createTransactionLaneFactory(broker.connection)
const consumers: Consumer[] = []
afterAll(() => Promise.all(consumers.map((consumer) => consumer.disconnect())))

function consumerOf(options: Partial<Parameters<typeof broker.kafka.consumer>[0]> = {}): Consumer {
  const consumer = broker.kafka.consumer({
    groupId: `kafkatest-${randomUUID()}`,
    maxWaitTimeInMs: 50,
    ...options,
  })
  consumers.push(consumer)
  return consumer
}

const openLane = async (targetTopic: string) => {
  const id = `kafkatest-${randomUUID()}`
  const options = {
    transactionalId: id,
    groupId: id,
    targetTopic,
    maxMessageBytes: 1e6,
    transactionTimeoutMs: 30_000,
  }
  const lane = await lanes.open(options, new AbortController().signal)
  await lane.begin()
  return {
    send: (value: string, key: Buffer | null = null) =>
      lane.send(0, {
        records: sourceRecords([record(0n, { key, value: Buffer.from(value) })]),
        selected: null,
        headersOf: null,
      }),
    async end(commit: boolean) {
      if (commit) await lane.commit({ offset: offset(0n), metadata: '' })
      else await lane.abort()
      await lane.close()
    },
  }
}

/** Values that a plain consumer is given, up to and with the one that says `end`. */
async function readUntilEnd(topic: string): Promise<string[]> {
  const consumer = consumerOf()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const values: string[] = []
  await new Promise<void>((resolve) => {
    void consumer.run({
      eachMessage: async ({ message }) => {
        values.push(String(message.value))
        if (String(message.value) === 'end') resolve()
      },
    })
  })
  return values
}

/** Sockets to the broker that answer the first `times` JoinGroup requests themselves, with COORDINATOR_LOAD_IN_PROGRESS. */
function loadingCoordinator(times: number): { socketFactory: ISocketFactory; answered: () => number } {
  let answered = 0
  const joinGroup = 11
  const socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    const socket = net.connect({ host, port }, onConnect)
    const write = socket.write.bind(socket) as (data: Buffer) => boolean
    // kafkajs writes one whole request at a time.
    socket.write = ((data: Buffer): boolean => {
      if (answered >= times || data.readInt16BE(4) !== joinGroup) return write(data)
      answered += 1
      // Throttle time, error, generation, protocol, leader, member, no members (JoinGroup v2 to v5).
      const body = Buffer.from('00000000 000e ffffffff 0000 0000 0000 00000000'.replaceAll(' ', ''), 'hex')
      const head = Buffer.alloc(8)
      head.writeInt32BE(4 + body.length)
      head.writeInt32BE(data.readInt32BE(8), 4)
      setImmediate(() => socket.emit('data', Buffer.concat([head, body])))
      return true
    }) as typeof socket.write
    return socket
  }
  return { socketFactory, answered: () => answered }
}

describe('read_committed', () => {
  test('aborted transactions of several producers that overlap stay hidden from plain consumers', async () => {
    const topic = await broker.makeTopic()
    const [a, b, c] = [await openLane(topic), await openLane(topic), await openLane(topic)]
    await a.send('a aborted')
    await b.send('b aborted')
    await c.send('c committed')
    await b.end(false)
    await a.send('a aborted too')
    await a.end(false)
    await c.send('c committed too')
    await c.end(true)
    await broker.produce(topic, 0, 1)
    const last = await openLane(topic)
    await last.send('end')
    await last.end(true)
    expect(await readUntilEnd(topic)).toEqual(['c committed', 'c committed too', 'v0', 'end'])
  })

  test('a record whose key looks like an abort marker ends nothing', async () => {
    const topic = await broker.makeTopic()
    const aborted = await openLane(topic)
    await aborted.send('aborted, odd key', Buffer.alloc(4))
    await aborted.send('aborted')
    await aborted.end(false)
    const last = await openLane(topic)
    await last.send('end')
    await last.end(true)
    expect(await readUntilEnd(topic)).toEqual(['end'])
  })

  test('several transactions that began since the last message are all known', () => {
    const filter = require('kafkajs/src/consumer/filterAbortedMessages.js') as (
      input: unknown,
    ) => { offset: string }[]
    const message = (at: string, producerId: string) => ({
      offset: at,
      key: null,
      isControlRecord: false,
      batchContext: { producerId, inTransaction: true },
    })
    const abortedTransactions = [
      { producerId: '2', firstOffset: '10' },
      { producerId: '1', firstOffset: '11' },
    ]
    const left = filter({ messages: [message('20', '1'), message('21', '3')], abortedTransactions })
    expect(left.map((one) => one.offset)).toEqual(['21'])
  })
})

test('raw record sets: what filtering leaves empty reaches eachBatch with its bytes', async () => {
  const topic = await broker.makeTopic()
  const aborted = await openLane(topic)
  await aborted.send('aborted')
  await aborted.end(false)
  const consumer = consumerOf({ rawRecordSets: true })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const batch = await new Promise((resolve) => {
    void consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async (payload) => resolve(payload.batch),
    })
  })
  expect(batch).toMatchObject({
    fetchedOffset: '0',
    recordSet: expect.any(Buffer),
    abortedTransactions: [{ firstOffset: '0' }],
  })
})

describe('request queue', () => {
  interface Queue {
    throttleCheckTimeoutId: unknown
    push(request: unknown): void
    fulfillRequest(answer: unknown): void
    maybeThrottle(ms: number): void
    destroy(): void
  }
  const makeQueue = (): Queue => {
    const RequestQueue = require('kafkajs/src/network/requestQueue') as new (options: unknown) => Queue
    const log = { debug: () => undefined, warn: () => undefined }
    return new RequestQueue({
      maxInFlightRequests: 1,
      requestTimeout: 1_000,
      enforceRequestTimeout: true,
      logger: log,
    })
  }
  const request = (correlationId: number, sent: () => void) => ({
    entry: { correlationId, resolve: () => undefined, reject: () => undefined },
    expectResponse: true,
    sendRequest: sent,
  })

  test('no timer runs when nothing waits', () => {
    const queue = makeQueue()
    queue.push(request(1, () => undefined))
    queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 })
    expect(queue.throttleCheckTimeoutId).toBeNull()
  })

  test('what a throttle holds back is sent when it is over', async () => {
    const queue = makeQueue()
    queue.maybeThrottle(40)
    const started = performance.now()
    await new Promise<void>((resolve) => queue.push(request(1, resolve)))
    expect(performance.now() - started).toBeGreaterThan(30)
    queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 })
    queue.destroy()
  })

  test('Node gives no warning of negative delays', async () => {
    // In a process of its own: Node warns once per process.
    const script = `
      const { Kafka, logLevel } = require('kafkajs')
      const admin = new Kafka({ brokers: [process.argv[1]], logLevel: logLevel.NOTHING }).admin()
      admin.connect().then(() => admin.listTopics()).then(() => admin.disconnect())`
    const { stderr } = await promisify(execFile)(process.execPath, ['-e', script, brokers()[0] ?? ''], {
      cwd: import.meta.dirname,
    })
    expect(stderr).not.toContain('TimeoutNegativeWarning')
  })
})

test('a request is framed as Kafka wants it', async () => {
  const frame = require('kafkajs/src/protocol/request.js') as (
    request: unknown,
  ) => Promise<{ buffer: Buffer }>
  const payload = Buffer.from('payload')
  const encode = async () => ({ buf: payload, buffer: payload })
  const { buffer } = await frame({
    correlationId: 7,
    clientId: 'me',
    request: { apiKey: 3, apiVersion: 10, encode },
  })
  expect(buffer.toString('hex')).toBe(
    `00000013${'0003'}${'000a'}${'00000007'}${'0002'}6d65${payload.toString('hex')}`,
  )
})

describe('crashes', () => {
  test('CRASH is told although disconnecting hangs', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 1)
    const sockets: net.Socket[] = []
    const deaf = new kafkajs.Kafka({
      brokers: brokers(),
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: ({ host, port, onConnect }) => {
        const socket = net.connect({ host, port }, onConnect)
        sockets.push(socket)
        return socket
      },
    })
    const consumer = deaf.consumer({
      groupId: `kafkatest-${randomUUID()}`,
      retry: { restartOnFailure: async () => false },
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const crash = new Promise((resolve) =>
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.restart)),
    )
    await consumer.run({
      eachBatch: async () => {
        for (const socket of sockets) socket.pause()
        throw new TypeError('which kafkajs never retries')
      },
    })
    expect(await crash).toBe(false)
    for (const socket of sockets) socket.destroy()
  })

  test('a member that joined and cannot go on leaves the group at once', async () => {
    const topic = await broker.makeTopic()
    const groupId = `kafkatest-${randomUUID()}`
    const failing: PartitionAssigner = () => ({
      name: 'failing',
      version: 0,
      protocol: ({ topics }) => ({
        name: 'failing',
        metadata: kafkajs.AssignerProtocol.MemberMetadata.encode({
          version: 0,
          topics,
          userData: Buffer.alloc(0),
        }),
      }),
      assign: async () => {
        throw new Error('no assignment')
      },
    })
    const consumer = consumerOf({ groupId, partitionAssigners: [failing], sessionTimeout: 30_000 })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic] })
    const crash = new Promise((resolve) => consumer.on(consumer.events.CRASH, resolve))
    await consumer.run({ eachMessage: async () => undefined })
    await crash
    const admin = broker.kafka.admin()
    await admin.connect()
    const { groups } = await admin.describeGroups([groupId])
    await admin.disconnect()
    expect(groups[0]?.members).toEqual([])
  })

  test('a coordinator that still loads is asked again', async () => {
    const topic = await broker.makeTopic()
    await broker.produce(topic, 0, 1)
    const loading = loadingCoordinator(2)
    const kafka = new kafkajs.Kafka({
      brokers: brokers(),
      logLevel: kafkajs.logLevel.NOTHING,
      socketFactory: loading.socketFactory,
    })
    const consumer = kafka.consumer({
      groupId: `kafkatest-${randomUUID()}`,
      retry: { initialRetryTime: 20, restartOnFailure: async () => false },
    })
    consumers.push(consumer)
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const joined = new Promise<string>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, () => resolve('joined'))
      consumer.on(consumer.events.CRASH, () => resolve('crashed'))
    })
    await consumer.run({ eachMessage: async () => undefined })
    expect(await joined).toBe('joined')
    expect(loading.answered()).toBe(2)
  })

  test('a leader whose own topic is gone still assigns the others’', async () => {
    const groupId = `kafkatest-${randomUUID()}`
    const [gone, kept] = [await broker.makeTopic(), await broker.makeTopic()]
    const assigned: Record<string, number[]> = {}
    const each: PartitionAssigner = () => ({
      name: 'each',
      version: 0,
      protocol: ({ topics }) => ({
        name: 'each',
        metadata: kafkajs.AssignerProtocol.MemberMetadata.encode({
          version: 0,
          topics,
          userData: Buffer.alloc(0),
        }),
      }),
      assign: async ({ members }) =>
        members.map(({ memberId, memberMetadata }) => {
          const topics = kafkajs.AssignerProtocol.MemberMetadata.decode(memberMetadata)?.topics ?? []
          const assignment = topics.includes(kept) ? { [kept]: [0] } : {}
          return {
            memberId,
            memberAssignment: kafkajs.AssignerProtocol.MemberAssignment.encode({
              version: 0,
              assignment,
              userData: Buffer.alloc(0),
            }),
          }
        }),
    })
    const start = async (topic: string) => {
      const consumer = consumerOf({
        groupId,
        partitionAssigners: [each],
        heartbeatInterval: 100,
        sessionTimeout: 30_000,
      })
      await consumer.connect()
      await consumer.subscribe({ topics: [topic] })
      const joined = new Promise<void>((resolve) =>
        consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
          Object.assign(assigned, payload.memberAssignment)
          resolve()
        }),
      )
      void consumer.run({ eachMessage: async () => undefined })
      await joined
    }
    await start(gone)
    await broker.deleteTopic(gone)
    await broker.gone(gone)
    await start(kept)
    expect(assigned).toEqual({ [kept]: [0] })
  })
})
