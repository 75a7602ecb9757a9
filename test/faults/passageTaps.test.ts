import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { api, type Frame, type Passage, type Verdict } from '../../bench/faults/contract.ts'
import { openPassage } from '../../bench/faults/passage/passage.ts'
import { BrokerSocket } from '../../bench/source/brokerSocket.ts'
import type { SourceRecord } from '../../bench/source/event.ts'
import { RecordBatchEncoder } from '../../bench/source/recordBatch.ts'
import {
  metadataApi,
  metadataBody,
  produceApi,
  produceHead,
  readProduceAnswer,
} from '../../bench/source/requests.ts'
import { until } from '../support/platform.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

async function passageTo(target: string, protocol: 'kafka' | 'postgres'): Promise<Passage> {
  const passage = await openPassage({ target, protocol })
  onTestFinished(() => passage.close())
  return passage
}

describe('a tap on Kafka', () => {
  let kafka: TestKafka
  beforeAll(async () => {
    kafka = await TestKafka.connect()
  })
  afterAll(() => kafka.close())

  const toKafka = (): Promise<Passage> => passageTo(testServers().kafkaBrokers.split(',')[0] ?? '', 'kafka')

  async function socketTo(passage: Passage): Promise<BrokerSocket> {
    const socket = await BrokerSocket.open('127.0.0.1', passage.port, 10_000)
    onTestFinished(() => socket.close())
    return socket
  }

  const record = (value: string): SourceRecord => ({
    key: null,
    value: Buffer.from(value),
    headers: [],
    timestamp: 1_700_000_000_000,
  })
  const produce = async (socket: BrokerSocket, topic: string, value: string): Promise<number> => {
    const batch = new RecordBatchEncoder().encode([record(value)], 'none')
    const head = produceHead(topic, 0, batch.length, 10_000)
    return readProduceAnswer(await socket.request(produceApi.key, produceApi.version, [head, batch]))
      .baseOffset
  }
  const ask = (socket: BrokerSocket, topic: string): Promise<Buffer> =>
    socket.request(metadataApi.key, metadataApi.version, [metadataBody(topic)])
  const logEnd = async (topic: string): Promise<number> =>
    Number((await kafka.admin.fetchTopicOffsets(topic))[0]?.high)
  const isProduce = (frame: Frame): boolean => frame.protocol === 'kafka' && frame.apiKey === api.produce

  it('sees requests and their answers, whole and in order', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const socket = await socketTo(passage)
    await produce(socket, topic, 'unseen')
    const seen: unknown[] = []
    const look =
      (what: string) =>
      (frame: Frame): Verdict => {
        if (frame.protocol === 'kafka') seen.push([what, frame.apiKey, frame.correlationId, frame.clientId])
        expect(frame.bytes.readInt32BE(0) + 4).toBe(frame.bytes.length)
        return 'pass'
      }
    passage.tap({ request: look('request'), answer: look('answer') })
    await Promise.all([produce(socket, topic, 'x'.repeat(500_000)), ask(socket, topic)])
    passage.tap(null)
    await produce(socket, topic, 'unseen')
    const order = (what: string): unknown[] => seen.filter((one) => Array.isArray(one) && one[0] === what)
    expect(order('request')).toEqual([
      ['request', api.produce, 1, 'bench'],
      ['request', api.metadata, 2, 'bench'],
    ])
    expect(order('answer')).toEqual([
      ['answer', api.produce, 1, 'bench'],
      ['answer', api.metadata, 2, 'bench'],
    ])
    expect(await logEnd(topic)).toBe(3)
  })

  it.each([
    ['cut', 0],
    ['drop', 0],
  ] as const)('may %s a request, which the broker never gets', async (verdict, end) => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const socket = await socketTo(passage)
    passage.tap({ request: (frame) => (isProduce(frame) ? verdict : 'pass') })
    const produced = produce(socket, topic, 'never')
    const failed = expect(produced).rejects.toThrow()
    if (verdict === 'drop') {
      await ask(socket, topic)
      socket.close()
    }
    await failed
    expect(await logEnd(topic)).toBe(end)
  })

  it('may cut an answer: the broker has done what the client does not know of', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const socket = await socketTo(passage)
    passage.tap({ answer: (frame) => (isProduce(frame) ? 'cut' : 'pass') })
    await expect(produce(socket, topic, 'known to the broker alone')).rejects.toThrow()
    expect(await logEnd(topic)).toBe(1)
  })

  it('may deliver a request late, when its client is gone and others have done more', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const socket = await socketTo(passage)
    let late = 0
    const others = Promise.withResolvers<void>()
    const answers: Frame[] = []
    const onAnswer = (answer: Frame) => answers.push(answer)
    passage.tap({
      request: (frame) =>
        isProduce(frame) && late++ === 0 ? { lateMs: 10, behind: others.promise, onAnswer } : 'pass',
    })
    await ask(socket, topic)
    await expect(produce(socket, topic, 'late')).rejects.toThrow()
    expect(await produce(await socketTo(passage), topic, 'in between')).toBe(0)
    passage.reset()
    passage.cut()
    others.resolve()
    await until(
      async () => (await logEnd(topic)) === 2,
      10_000,
      () => 'the late record has not come',
    )
    await until(
      () => answers.length > 0,
      10_000,
      () => 'nobody has seen the answer',
    )
    expect(answers).toMatchObject([{ protocol: 'kafka', apiKey: api.produce }])
  })

  it('does not deliver late what is still to come when the passage closes', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const socket = await socketTo(passage)
    const closed = Promise.withResolvers<void>()
    passage.tap({
      request: (frame) => (isProduce(frame) ? { lateMs: 10, behind: closed.promise } : 'pass'),
    })
    await expect(produce(socket, topic, 'late')).rejects.toThrow()
    await passage.close()
    closed.resolve()
    await sleep(300)
    expect(await logEnd(topic)).toBe(0)
  })

  it('may hold a request and all behind it, of that connection alone', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const [held, free] = [await socketTo(passage), await socketTo(passage)]
    const release = Promise.withResolvers<void>()
    let holds = 0
    passage.tap({
      request: (frame) => (isProduce(frame) && holds++ === 0 ? { hold: release.promise } : 'pass'),
    })
    const offsets = [produce(held, topic, 'first'), produce(held, topic, 'second')]
    await until(
      () => holds > 0,
      10_000,
      () => 'nothing is held',
    )
    expect(await produce(free, topic, 'overtakes')).toBe(0)
    release.resolve()
    expect(await Promise.all(offsets)).toEqual([1, 2])
  })

  it('holds until a reset, which cuts those that were held and nobody else', async () => {
    const topic = await kafka.topic()
    const passage = await toKafka()
    const [held, free] = [await socketTo(passage), await socketTo(passage)]
    await ask(free, topic)
    let holds = 0
    passage.tap({
      request: (frame) => {
        if (!isProduce(frame)) return 'pass'
        holds++
        return { hold: new Promise(() => undefined) }
      },
    })
    const produced = expect(produce(held, topic, 'never')).rejects.toThrow()
    await ask(free, topic)
    await until(
      () => holds > 0,
      10_000,
      () => 'nothing is held',
    )
    passage.reset()
    await produced
    expect(await produce(free, topic, 'goes')).toBe(0)
  })
})

describe('a tap on PostgreSQL', () => {
  const { hostname, port } = new URL(testServers().databaseAdminUrl)

  async function clientThrough(passage: Passage, more: ClientConfig = {}): Promise<Client> {
    const url = new URL(testServers().databaseAdminUrl)
    url.port = String(passage.port)
    url.hostname = '127.0.0.1'
    const client = new Client({ connectionString: url.href, ...more })
    client.on('error', () => undefined)
    await client.connect()
    onTestFinished(() => client.end())
    return client
  }

  it('sees startup, SQL and tags, of the simple protocol and the extended', async () => {
    const passage = await passageTo(`${hostname}:${port}`, 'postgres')
    const seen: string[] = []
    const note = (frame: Frame): Verdict => {
      if (frame.protocol === 'postgres' && !/^[pRSKDT12n]$/.test(frame.type))
        seen.push(`${frame.type} ${frame.text}`)
      return 'pass'
    }
    passage.tap({ request: note, answer: note })
    const client = await clientThrough(passage)
    await client.query('select 1')
    await client.query('select $1::int', [2])
    expect(seen).toEqual([
      ' ',
      'Z ',
      'Q select 1',
      'C SELECT 1',
      'Z ',
      'P select $1::int',
      'B ',
      'E ',
      'C SELECT 1',
      'Z ',
    ])
  })

  it('may let a COMMIT come late: the client knows nothing, and the rows are there', async () => {
    const passage = await passageTo(`${hostname}:${port}`, 'postgres')
    const direct = new Client({ connectionString: testServers().databaseAdminUrl })
    await direct.connect()
    onTestFinished(() => direct.end())
    const table = `late_${process.pid}_${Date.now()}`
    await direct.query(`create table ${table} (n int)`)
    onTestFinished(() => direct.query(`drop table ${table}`).then(() => undefined))
    const count = async (): Promise<number> =>
      Number((await direct.query(`select count(*) as n from ${table}`)).rows[0]?.n)

    const client = await clientThrough(passage)
    await client.query('begin')
    await client.query(`insert into ${table} select generate_series(1, 10)`)
    const looked = Promise.withResolvers<void>()
    passage.tap({
      request: (frame) =>
        frame.protocol === 'postgres' && frame.text === 'commit'
          ? { lateMs: 10, behind: looked.promise }
          : 'pass',
    })
    await expect(client.query('commit')).rejects.toThrow()
    expect(await count()).toBe(0)
    looked.resolve()
    await until(
      async () => (await count()) === 10,
      10_000,
      () => 'the commit has not come',
    )
  })
})
