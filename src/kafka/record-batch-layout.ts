/** Where the fields of a record batch lie (magic 2): https://kafka.apache.org/documentation/#recordbatch */
export const field = {
  baseOffset: 0,
  length: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  count: 57,
} as const

/** Bytes of a record batch before its records. */
export const batchOverhead = 61

export const codecMask = 0x07
export const logAppendTimeFlag = 0x08
export const transactionalFlag = 0x10
export const controlFlag = 0x20

const largestSequence = 0x7fff_ffff

/** The sequence number after `count` more records: it wraps from 2^31 − 1 to 0, as Kafka's `incrementSequence` does. */
export function nextSequence(sequence: number, count: number): number {
  return sequence > largestSequence - count ? count - (largestSequence - sequence) - 1 : sequence + count
}
