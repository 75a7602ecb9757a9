import type { Admin } from 'kafkajs'
import type { DeadLetterCode } from '../../src/domain/model.ts'
import { digestRecord } from '../judge/digest.ts'
import { RecordTable } from '../judge/table.ts'
import { generateBatches, type SourceOptions } from './generator.ts'
import { BatchProducer } from './producer.ts'
import { RecordBatchEncoder } from './recordBatch.ts'

/** What was produced, and what must come of it. */
export interface Filled {
  readonly produced: number
  readonly accepted: number
  readonly deadLetters: ReadonlyMap<DeadLetterCode, number>
  /** By partition: every record with its digests, and whether it must be accepted. */
  readonly tables: readonly RecordTable[]
  readonly compressedBatches: number
  readonly seconds: number
}

/** Batches under way at once. */
const window = 16

/**
 * Produces the generated input to an empty topic, or behind what was produced `before` from another seed, and keeps the score
 * of all of it. `onProgress` gets the records sent so far.
 */
export async function fillTopic(
  admin: Admin,
  topic: string,
  options: SourceOptions,
  onProgress: (records: number) => void,
  signal: AbortSignal,
  before?: Filled,
): Promise<Filled> {
  const producer = await BatchProducer.connect(admin, topic)
  const started = performance.now()
  try {
    const score = await produceAll(producer, options, onProgress, signal, before)
    return { ...score, seconds: (performance.now() - started) / 1000 }
  } finally {
    producer.close()
  }
}

async function produceAll(
  producer: BatchProducer,
  options: SourceOptions,
  onProgress: (records: number) => void,
  signal: AbortSignal,
  before: Filled | undefined,
): Promise<Omit<Filled, 'seconds'>> {
  const tables = before?.tables ?? Array.from({ length: options.partitions }, () => new RecordTable())
  const deadLetters = new Map<DeadLetterCode, number>(before?.deadLetters)
  const encoder = new RecordBatchEncoder()
  const sending: Promise<void>[] = []
  let produced = before?.produced ?? 0
  let accepted = before?.accepted ?? 0
  let compressedBatches = before?.compressedBatches ?? 0
  for (const { partition, codec, records } of generateBatches(options)) {
    signal.throwIfAborted()
    const table = tables[partition] ?? new RecordTable()
    const expectedOffset = table.size
    for (const { record, fate } of records) {
      table.add(table.size, digestRecord(record), fate)
      if (fate === 'accepted') accepted++
      else deadLetters.set(fate, (deadLetters.get(fate) ?? 0) + 1)
    }
    const batch = encoder.encode(
      records.map(({ record }) => record),
      codec,
    )
    sending.push(sendTo(producer, partition, batch, expectedOffset))
    if (sending.length >= window) await sending.shift()
    produced += records.length
    if (codec !== 'none') compressedBatches++
    onProgress(produced)
  }
  await Promise.all(sending)
  return { produced, accepted, deadLetters, tables, compressedBatches }
}

/** In an empty topic the n-th record lands at offset n: anything else would make the score worthless. */
async function sendTo(
  producer: BatchProducer,
  partition: number,
  batch: Buffer,
  expectedOffset: number,
): Promise<void> {
  const offset = await producer.send(partition, batch)
  if (offset !== expectedOffset)
    throw new Error(`a batch for partition ${partition} landed at ${offset}, not at ${expectedOffset}`)
}
