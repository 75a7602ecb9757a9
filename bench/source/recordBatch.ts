import { crc32c } from '@node-rs/crc32'
import { type Codec, codecBits, compress } from './codecs.ts'
import type { SourceRecord } from './event.ts'

const headBytes = 61
/** Varints, lengths and attributes of one record or header take less than this. */
const overheadBytes = 40

/** Who sends a batch, so that the broker knows a second copy of it (Kafka protocol, "Record Batch"; KIP-98). */
export interface BatchOwner {
  readonly producerId: bigint
  readonly producerEpoch: number
  /** Of the batch's first record among the owner's records in the partition. */
  readonly sequence: number
  /** Whether the batch is part of a transaction; it is none when left out. */
  readonly isTransactional?: boolean
}

/** Bit of the attributes. */
const transactionalFlag = 0x10

/** Nothing is sent twice, a failure ends the run. */
const nobody: BatchOwner = { producerId: -1n, producerEpoch: -1, sequence: -1 }

/**
 * Record batches of format 2 (Kafka protocol, "Record Batch"), written by an encoder of the benchmark's own: kafkajs'
 * cannot write null headers or interleaved names, and the platform's must not vouch for itself.
 */
export class RecordBatchEncoder {
  readonly #gzipLevel: number
  #bytes = Buffer.allocUnsafe(1 << 20)
  #at = 0

  constructor(gzipLevel = 1) {
    this.#gzipLevel = gzipLevel
  }

  /** One batch of at least one record; timestamps and offsets are relative to the first. */
  encode(records: readonly SourceRecord[], codec: Codec, owner: BatchOwner = nobody): Buffer {
    const first = records[0]?.timestamp ?? 0
    let last = first
    this.#at = headBytes
    records.forEach((record, index) => {
      last = Math.max(last, record.timestamp)
      this.#record(record, index, record.timestamp - first)
    })
    const plain = this.#bytes.subarray(headBytes, this.#at)
    const batch = Buffer.concat([this.#bytes.subarray(0, headBytes), compress(codec, plain, this.#gzipLevel)])
    writeHead(batch, { count: records.length, first, last, codec, owner })
    return batch
  }

  #record(record: SourceRecord, index: number, timestampDelta: number): void {
    const { key, value, headers } = record
    // Generous for long header names: three bytes a character at most.
    const names = headers.reduce(
      (sum, [name, bytes]) => sum + overheadBytes + name.length * 3 + lengthOf(bytes),
      0,
    )
    this.#reserve(overheadBytes * 2 + lengthOf(key) + lengthOf(value) + names)
    // The length comes first and is known last: write behind a space for the longest, then move.
    const start = this.#at
    this.#at = start + 5
    this.#bytes[this.#at++] = 0
    this.#varint(timestampDelta)
    this.#varint(index)
    this.#field(key)
    this.#field(value)
    this.#varint(headers.length)
    for (const [name, bytes] of headers) {
      this.#field(Buffer.from(name))
      this.#field(bytes)
    }
    const [from, to] = [start + 5, this.#at]
    this.#at = start
    this.#varint(to - from)
    this.#bytes.copyWithin(this.#at, from, to)
    this.#at += to - from
  }

  #field(bytes: Buffer | null): void {
    this.#varint(bytes === null ? -1 : bytes.length)
    if (bytes === null) return
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
  }

  /** Zigzag; by division, because timestamps pass 32 bits. */
  #varint(value: number): void {
    let zigzag = value >= 0 ? value * 2 : -value * 2 - 1
    while (zigzag >= 128) {
      this.#bytes[this.#at++] = (zigzag % 128) | 128
      zigzag = Math.floor(zigzag / 128)
    }
    this.#bytes[this.#at++] = zigzag
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe((this.#at + bytes) * 2)
    larger.set(this.#bytes.subarray(0, this.#at))
    this.#bytes = larger
  }
}

const lengthOf = (bytes: Buffer | null): number => (bytes === null ? 0 : bytes.length)

interface BatchInfo {
  readonly count: number
  readonly first: number
  readonly last: number
  readonly codec: Codec
  readonly owner: BatchOwner
}

function writeHead(batch: Buffer, info: BatchInfo): void {
  batch.writeBigInt64BE(0n, 0)
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch[16] = 2
  batch.writeInt16BE(
    codecBits[info.codec] | (info.owner.isTransactional === true ? transactionalFlag : 0),
    21,
  )
  batch.writeInt32BE(info.count - 1, 23)
  batch.writeBigInt64BE(BigInt(info.first), 27)
  batch.writeBigInt64BE(BigInt(info.last), 35)
  batch.writeBigInt64BE(info.owner.producerId, 43)
  batch.writeInt16BE(info.owner.producerEpoch, 51)
  batch.writeInt32BE(info.owner.sequence, 53)
  batch.writeInt32BE(info.count, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
}
