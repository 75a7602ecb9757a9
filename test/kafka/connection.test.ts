import kafkajs, { logLevel } from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { kafkaConfigOf } from '../../src/kafka/connection.ts'
import { FencedError, faultFrom, unavailable } from '../../src/kafka/faults.ts'
import { logBridge } from '../../src/kafka/log-bridge.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'
import type { LogLine } from './broker.ts'

const silent = { debug: () => undefined, warn: () => undefined }
const plain = { brokers: ['a:1', 'b:2'], clientId: 'c', tls: null, sasl: null, log: silent }

describe('configuration', () => {
  test('plain text by default, ten seconds to connect', () => {
    const config = kafkaConfigOf(plain)
    expect(config).toEqual({
      brokers: ['a:1', 'b:2'],
      clientId: 'c',
      connectionTimeout: 10_000,
      authenticationTimeout: 10_000,
    })
  })

  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'TLS and SASL %s are handed on',
    (mechanism) => {
      const sasl = { mechanism, username: 'u', password: 'p' }
      expect(kafkaConfigOf({ ...plain, tls: { ca: 'pem' }, sasl })).toMatchObject({
        ssl: { ca: 'pem' },
        sasl,
      })
      expect(kafkaConfigOf({ ...plain, tls: {} })).toMatchObject({ ssl: {} })
    },
  )
})

const secret = 'the-content-of-a-message'

describe('nothing of a message gets out', () => {
  test('kafkajs’ own error with a message in it is told by its name', async () => {
    const producer = new kafkajs.Kafka({ brokers: ['127.0.0.1:1'], logLevel: logLevel.NOTHING }).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    const message = { key: secret } as unknown as { value: string }
    const error = await producer.send({ topic: 't', messages: [message] }).catch((thrown: unknown) => thrown)
    expect(String(error)).toContain(secret)
    const told = unavailable('sending', error)
    expect(told.code).toBe('KAFKA_UNAVAILABLE')
    expect(`${told.message} ${told.stack} ${told.cause} ${JSON.stringify(told)}`).not.toContain(secret)
  })

  test('log lines lose what follows the first bracket, and every field that is not known to be safe', () => {
    const lines: LogLine[] = []
    const write = (level: string) => (fields: Record<string, unknown>, message: string) =>
      lines.push({ level, fields, message })
    const creator = logBridge({ debug: write('debug'), warn: write('warn') }, () => false)(logLevel.INFO)
    const entry = {
      timestamp: '',
      logger: 'kafkajs',
      message: `Invalid message without value for topic "t": {"key":"${secret}"}`,
      stack: secret,
      error: new Error(secret),
      payload: secret,
      topic: 't',
      partition: 3,
    }
    creator({ namespace: 'Producer', level: logLevel.ERROR, label: 'ERROR', log: entry })
    creator({ namespace: 'Connection', level: logLevel.ERROR, label: 'ERROR', log: entry })
    expect(lines).toEqual([
      {
        level: 'warn',
        message: 'Invalid message without value for topic "t":',
        fields: { from: 'kafkajs Producer', topic: 't', partition: 3 },
      },
      expect.objectContaining({ level: 'debug' }),
    ])
  })
})

describe('faults', () => {
  test('codes are named, causes found, fencing recognised', () => {
    const protocol = (code: number) => Object.assign(new Error(secret), { type: 'SOMETHING', code })
    expect(faultFrom(protocol(51))).toMatchObject({
      message: 'CONCURRENT_TRANSACTIONS',
      kafkaCode: 51,
      passing: false,
    })
    expect(faultFrom(protocol(16))).toMatchObject({ message: 'NOT_COORDINATOR', passing: true })
    expect(faultFrom(protocol(999)).message).toBe('error code 999')
    const wrapped = Object.assign(new Error(secret), {
      name: 'KafkaJSNumberOfRetriesExceeded',
      cause: protocol(3),
    })
    expect(faultFrom(wrapped).message).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    for (const code of [47, 90]) expect(unavailable('x', protocol(code))).toBeInstanceOf(FencedError)
    expect(faultFrom('text').message).toBe('unknown error')
  })
})

test('a short or odd answer is a fault, never a crash', () => {
  const answer = new WireWriter().int32(5).compactString('abc').unsignedVarint(300).string('x').finish()
  const reader = new WireReader(answer)
  expect([reader.int32(), reader.compactString(), reader.unsignedVarint(), reader.string()]).toEqual([
    5,
    'abc',
    300,
    'x',
  ])
  expect(() => reader.int8()).toThrow('the answer is malformed')
  expect(() => new WireReader(Buffer.alloc(9, 0xff)).unsignedVarint()).toThrow('the answer is malformed')
  expect(() => new WireReader(Buffer.from([0x7f, 0xff])).string()).toThrow('the answer is malformed')
})
