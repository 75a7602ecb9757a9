/** The few requests of Kafka's protocol (https://kafka.apache.org/protocol.html) that producing needs, written by hand. */

/** The oldest version that takes zstd (KIP-110). */
export const produceApi = { key: 0, version: 7 } as const
export const metadataApi = { key: 3, version: 5 } as const
export const initProducerIdApi = { key: 22, version: 1 } as const

const allReplicas = -1
const noTransaction = -1

/** Everything of a Produce request for one partition up to the record batch, which follows as it is. */
export function produceHead(topic: string, partition: number, batchBytes: number, timeoutMs: number): Buffer {
  const name = Buffer.from(topic)
  const head = Buffer.alloc(2 + 2 + 4 + 4 + 2 + name.length + 4 + 4 + 4)
  let at = head.writeInt16BE(noTransaction, 0)
  at = head.writeInt16BE(allReplicas, at)
  at = head.writeInt32BE(timeoutMs, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt16BE(name.length, at)
  at += name.copy(head, at)
  at = head.writeInt32BE(1, at)
  at = head.writeInt32BE(partition, at)
  head.writeInt32BE(batchBytes, at)
  return head
}

export interface ProduceAnswer {
  readonly errorCode: number
  /** Of the batch's first record. */
  readonly baseOffset: number
}

/** One topic, one partition: count, name, count, partition, error, base offset. */
export function readProduceAnswer(answer: Buffer): ProduceAnswer {
  const at = 4 + 2 + answer.readInt16BE(4) + 4 + 4
  return { errorCode: answer.readInt16BE(at), baseOffset: Number(answer.readBigInt64BE(at + 2)) }
}

/** One topic, which is not made by asking for it. */
export function metadataBody(topic: string): Buffer {
  const name = Buffer.from(topic)
  const body = Buffer.alloc(4 + 2 + name.length + 1)
  let at = body.writeInt32BE(1, 0)
  at = body.writeInt16BE(name.length, at)
  at += name.copy(body, at)
  body[at] = 0
  return body
}

export interface MetadataAnswer {
  readonly brokers: ReadonlyMap<number, { readonly host: string; readonly port: number }>
  /** Of the topic as a whole. */
  readonly errorCode: number
  /** By partition; none where there is no leader at the moment. */
  readonly leaders: ReadonlyMap<number, number>
}

export function readMetadataAnswer(answer: Buffer): MetadataAnswer {
  const fields = new Fields(answer)
  fields.int32()
  const brokers = new Map(
    fields.list(() => {
      const [id, host, port] = [fields.int32(), fields.text() ?? '', fields.int32()]
      fields.text()
      return [id, { host, port }] as const
    }),
  )
  fields.text()
  fields.int32()
  const [topic] = fields.list(() => {
    const errorCode = fields.int16()
    fields.text()
    fields.int8()
    const partitions = fields.list(() => {
      fields.int16()
      const [partition, leader] = [fields.int32(), fields.int32()]
      for (let lists = 0; lists < 3; lists++) fields.list(() => fields.int32())
      return [partition, leader] as const
    })
    return { errorCode, leaders: new Map(partitions.filter(([, leader]) => leader >= 0)) }
  })
  return { brokers, errorCode: topic?.errorCode ?? 0, leaders: topic?.leaders ?? new Map() }
}

/** For an idempotent producer without transactions. */
export function initProducerIdBody(): Buffer {
  const body = Buffer.alloc(2 + 4)
  body.writeInt16BE(noTransaction, 0)
  body.writeInt32BE(-1, 2)
  return body
}

export interface InitProducerIdAnswer {
  readonly errorCode: number
  readonly producerId: bigint
  readonly producerEpoch: number
}

export const readInitProducerIdAnswer = (answer: Buffer): InitProducerIdAnswer => ({
  errorCode: answer.readInt16BE(4),
  producerId: answer.readBigInt64BE(6),
  producerEpoch: answer.readInt16BE(14),
})

/** Fields of an answer in their order. */
class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    this.#at += 1
    return this.#bytes.readInt8(this.#at - 1)
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  text(): string | null {
    const length = this.int16()
    if (length < 0) return null
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int32()) }, read)
  }
}
