/**
 * The input of demo and benchmark: a function of its options alone. Says of each record what must become of it.
 */
import type { DeadLetterCode } from '../../src/domain/model.ts'
import { badKindOf, badKinds, makeBadRecord } from './badRecords.ts'
import type { Codec } from './codecs.ts'
import { carry, type EventObject, makeEvent, type SourceRecord } from './event.ts'
import { mix, Random } from './random.ts'

export interface SourceOptions {
  readonly seed: number
  /** Records in all, bad ones and duplicates included. */
  readonly events: number
  readonly partitions: number
  readonly recordsPerBatch: number
  /** In each hundred records; 0 or 1. */
  readonly badPercent: 0 | 1
  readonly duplicatePercent: 0 | 1
  readonly compression: boolean
}

export type Fate = 'accepted' | DeadLetterCode

export interface PlannedRecord {
  readonly record: SourceRecord
  readonly fate: Fate
}

export interface PlannedBatch {
  readonly partition: number
  readonly codec: Codec
  readonly records: readonly PlannedRecord[]
}

/** Batches in the order in which they are produced; batch b goes to partition b modulo the number of partitions. */
export function* generateBatches(options: SourceOptions): Generator<PlannedBatch> {
  const batches = Math.ceil(options.events / options.recordsPerBatch)
  for (let batch = 0; batch < batches; batch++) yield planBatch(options, batch)
}

/**
 * The batch of this number, whatever was generated before it. What it says about duplicates holds when the batches of
 * a partition are produced in the order of their numbers.
 */
export function planBatch(options: SourceOptions, batch: number): PlannedBatch {
  const { events, recordsPerBatch, partitions } = options
  const first = batch * recordsPerBatch
  const count = Math.min(recordsPerBatch, events - first)
  const records = Array.from({ length: count }, (_, at) => planRecord(options, first + at))
  return { partition: batch % partitions, codec: codecOf(options, batch, records), records }
}

/** A bit less than the broker's default limit for a batch (message.max.bytes). */
const uncompressedLimitBytes = 900_000
const codecs: readonly Codec[] = [
  'none',
  'none',
  'gzip',
  'none',
  'none',
  'snappy',
  'none',
  'lz4',
  'none',
  'zstd',
]

function codecOf(options: SourceOptions, batch: number, records: readonly PlannedRecord[]): Codec {
  const bytes = records.reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0)
  if (bytes > uncompressedLimitBytes) return 'gzip'
  const turn = Math.floor(batch / options.partitions) % codecs.length
  return (options.compression ? codecs[turn] : undefined) ?? 'none'
}

/** What the record `index` is: each hundred has one bad record and one duplicate, at places of its own. */
function roleOf({ seed, badPercent, duplicatePercent }: SourceOptions, index: number) {
  const block = Math.floor(index / 100)
  const place = mix(seed, block, 3) % 100
  if (badPercent > 0 && index % 100 === place) return 'bad'
  if (duplicatePercent > 0 && index % 100 === (place + 50) % 100) return 'duplicate'
  return 'event'
}

function planRecord(options: SourceOptions, index: number): PlannedRecord {
  const role = roleOf(options, index)
  if (role === 'bad') {
    const kind = badKindOf(Math.floor(index / 100))
    return { record: makeBadRecord(options.seed, index, kind), fate: badKinds[kind].code }
  }
  const original = role === 'duplicate' ? originalOf(options, index) : null
  if (original !== null) return planDuplicate(options, index, original)
  const event = makeEvent(options.seed, index)
  const value = Buffer.from(JSON.stringify(event))
  return { record: carry(new Random(options.seed, index, 2), event, value), fate: 'accepted' }
}

/** An event further up in the same partition, often in the same batch; null near the start. */
function originalOf(options: SourceOptions, index: number): number | null {
  const { seed, partitions, recordsPerBatch } = options
  const random = new Random(seed, index, 4)
  const batch = Math.floor(index / recordsPerBatch)
  for (let attempt = 0; attempt < 8; attempt++) {
    const earlier = batch - partitions * random.below(Math.min(40, Math.floor(batch / partitions) + 1))
    const original = earlier * recordsPerBatch + random.below(recordsPerBatch)
    if (original < index && roleOf(options, original) === 'event') return original
  }
  return null
}

/** Ways to send an event again: as it was, written otherwise with the same content, and with other content. */
function planDuplicate(options: SourceOptions, index: number, original: number): PlannedRecord {
  const event = makeEvent(options.seed, original)
  const random = new Random(options.seed, index, 2)
  const send = (sent: EventObject, fate: Fate): PlannedRecord => ({
    record: carry(random, event, Buffer.from(JSON.stringify(sent))),
    fate,
  })
  switch (mix(options.seed, index, 5) % 5) {
    case 0:
      return send(withoutHash({ ...event, data: { ...event.data, note: 'other content' } }), 'ID_CONFLICT')
    case 1:
      return send(withoutHash({ ...event, source: `${event.source}-2` }), 'ID_CONFLICT')
    case 2:
      return send(
        Object.fromEntries(Object.entries(event).reverse()) as unknown as EventObject,
        'DUPLICATE_ID',
      )
    case 3:
      return send({ ...event, id: event.id.toUpperCase() }, 'DUPLICATE_ID')
    default:
      return send(event, 'DUPLICATE_ID')
  }
}

/** The producer's own hash would no longer fit the changed content, which is another reason to refuse it. */
function withoutHash(event: EventObject): EventObject {
  if (event.provenance?.hash === undefined) return event
  const { hash: _, ...provenance } = event.provenance
  return { ...event, provenance }
}
