import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import { api, type KafkaFrame } from '../../bench/faults/contract.ts'
import { asksForCommit, errorCodeOf, isFencing } from '../../bench/faults/kafkaMessages.ts'
import { produceRequest } from '../../src/kafka/produce-request.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'

/** kafkajs' own reading of the same bytes. */
interface Protocol {
  (request: object): { encode(): Promise<{ buffer: Buffer }> }
  readonly decode: (body: Buffer) => Promise<unknown>
  readonly parse: (decoded: unknown) => Promise<unknown>
}
const requireFrom = createRequire(import.meta.url)
const protocol = (name: string, version: number, part: 'request' | 'response'): Protocol =>
  requireFrom(`kafkajs/src/protocol/requests/${name}/v${version}/${part}`) as Protocol

function frameOf(apiKey: number, head: number, body: Buffer): KafkaFrame {
  const bytes = Buffer.concat([Buffer.alloc(head), body])
  return { protocol: 'kafka', apiKey, apiVersion: 1, correlationId: 1, clientId: '', bytes }
}
const answerOf = (apiKey: number, body: Buffer): KafkaFrame => frameOf(apiKey, 8, body)

const simple = (code: number) => new WireWriter().int32(7).int16(code).finish()
const perPartition = (code: number) =>
  new WireWriter().int32(7).int32(1).string('topic').int32(1).int32(3).int16(code).finish()

it.each([
  { name: 'endTxn', apiKey: api.endTxn, body: simple },
  { name: 'addOffsetsToTxn', apiKey: api.addOffsetsToTxn, body: simple },
  { name: 'addPartitionsToTxn', apiKey: api.addPartitionsToTxn, body: perPartition },
  { name: 'txnOffsetCommit', apiKey: api.txnOffsetCommit, body: perPartition },
])('$name: finds the error code that kafkajs finds', async ({ name, apiKey, body }) => {
  const { decode, parse } = protocol(name, 1, 'response')
  for (const code of [47, 51]) {
    expect(errorCodeOf(answerOf(apiKey, body(code)))).toBe(code)
    await expect(decode(body(code)).then(parse)).rejects.toMatchObject({ code })
  }
  expect(errorCodeOf(answerOf(apiKey, body(0)))).toBe(0)
  await expect(decode(body(0)).then(parse)).resolves.toBeDefined()
})

it('initProducerId: finds the error code in front of the producer id', () => {
  const body = Buffer.concat([simple(47), Buffer.alloc(10)])
  expect(errorCodeOf(answerOf(api.initProducerId, body))).toBe(47)
})

it('produce: finds the error code that the platform finds', () => {
  const target = { transactionalId: 'id', topic: 'topic', partition: 3, batch: Buffer.alloc(0), timeoutMs: 1 }
  const body = (code: number) =>
    Buffer.concat([
      new WireWriter().int32(1).string('topic').int32(1).int32(3).int16(code).finish(),
      // Base offset, append time, log start offset, no refused records, no words, throttle time.
      Buffer.alloc(24),
      new WireWriter().int32(0).int16(-1).int32(0).finish(),
    ])
  for (const code of [0, 47, 32]) {
    expect(errorCodeOf(answerOf(api.produce, body(code)))).toBe(code)
    expect(produceRequest(target).read(new WireReader(body(code))).errorCode).toBe(code)
  }
})

it('says nothing of other answers', () => {
  expect(errorCodeOf(answerOf(api.metadata, simple(47)))).toBeNull()
})

it('tells commits from aborts', async () => {
  for (const transactionResult of [true, false]) {
    const request = { transactionalId: 'id', producerId: '1', producerEpoch: 1, transactionResult }
    const { buffer } = await protocol('endTxn', 1, 'request')(request).encode()
    expect(asksForCommit(frameOf(api.endTxn, 14, buffer))).toBe(transactionResult)
  }
})

it('takes exactly the codes of a fenced producer for fencing', () => {
  expect([0, 45, 47, 48, 51, 90, null].filter(isFencing)).toEqual([47, 90])
})
