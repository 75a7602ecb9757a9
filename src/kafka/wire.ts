import { KafkaFault } from './faults.ts'

/** A request of Kafka's protocol that kafkajs lacks: its body, and how to read the answer. */
export interface WireRequest<T> {
  readonly apiKey: number
  readonly apiVersion: number
  readonly apiName: string
  readonly body: Buffer
  readonly read: (reader: WireReader) => T
}

/** Writes the primitive types of Kafka's protocol; `compact` ones belong to flexible versions. */
export class WireWriter {
  #bytes = Buffer.allocUnsafe(256)
  #at = 0

  #room(length: number): number {
    const at = this.#at
    if (at + length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(2 * (at + length))
      this.#bytes.copy(bytes, 0, 0, at)
      this.#bytes = bytes
    }
    this.#at += length
    return at
  }

  int8(value: number): this {
    const at = this.#room(1)
    this.#bytes.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#room(2)
    this.#bytes.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#room(4)
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  unsignedVarint(value: number): this {
    let rest = value
    while (rest >= 128) {
      const at = this.#room(1)
      this.#bytes[at] = (rest & 127) | 128
      rest >>>= 7
    }
    const at = this.#room(1)
    this.#bytes[at] = rest
    return this
  }

  raw(value: Buffer): this {
    const at = this.#room(value.length)
    value.copy(this.#bytes, at)
    return this
  }

  string(value: string): this {
    const bytes = Buffer.from(value)
    return this.int16(bytes.length).raw(bytes)
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value)
    return this.unsignedVarint(bytes.length + 1).raw(bytes)
  }

  /** An empty tag section, which ends every structure of a flexible version. */
  noTags(): this {
    return this.int8(0)
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }
}

/** Reads the primitive types of Kafka's protocol. Every read is checked: a short or odd answer is a KafkaFault. */
export class WireReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  #take(length: number): number {
    const at = this.#at
    if (length < 0 || at + length > this.#bytes.length) throw new KafkaFault('the answer is malformed')
    this.#at = at + length
    return at
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8))
  }

  unsignedVarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#take(1))
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 0
    }
    throw new KafkaFault('the answer is malformed')
  }

  raw(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  string(): string {
    return this.raw(this.int16()).toString()
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.raw(length).toString()
  }

  compactString(): string {
    return this.raw(this.unsignedVarint() - 1).toString()
  }

  compactNullableString(): string | null {
    const length = this.unsignedVarint()
    return length === 0 ? null : this.raw(length - 1).toString()
  }

  array<T>(item: (reader: WireReader) => T): T[] {
    return this.#items(this.int32(), item)
  }

  compactArray<T>(item: (reader: WireReader) => T): T[] {
    return this.#items(this.unsignedVarint() - 1, item)
  }

  #items<T>(length: number, item: (reader: WireReader) => T): T[] {
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(item(this))
    return items
  }

  skipTags(): void {
    const count = this.unsignedVarint()
    for (let i = 0; i < count; i++) {
      this.unsignedVarint()
      this.raw(this.unsignedVarint())
    }
  }
}
