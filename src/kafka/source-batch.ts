import { MAX_UNPACKED_BATCH_BYTES } from '../domain/leaf.ts'
import { type Offset, offset, type UndecodableBatch } from '../domain/model.ts'
import type { SourceBatch, SourcePart } from '../ports.ts'
import { type AbortedTransaction, committedBatches } from './committed-batches.ts'
import { largeBatches } from './large-batches.ts'
import { codecOf, type RecordBatchHeader, readBatchHeaders } from './record-batch-header.ts'
import { batchOverhead, logAppendTimeFlag } from './record-batch-layout.ts'
import { RecordReader, RecordsBuilder } from './record-reader.ts'
import { type Unpacked, unpackLarge, unpackSmall } from './unpack.ts'

/** What one fetch brought for one partition, as the patched kafkajs hands it over. */
export interface FetchedSet {
  readonly topic: string
  readonly partition: number
  readonly fetchedOffset: string
  readonly highWatermark: string
  readonly recordSet: Buffer
  readonly abortedTransactions: readonly AbortedTransaction[]
}

/** Records in one part: bounds the arrays, however many tiny records a batch unpacks to. */
const partRecords = 16_384
/** Length, attributes, three deltas and lengths of one byte each, an empty header list. */
const smallestRecord = 7

/**
 * Opens a fetched record set: whole batches, CRCs checked, committed data only. Throws KafkaFault CORRUPT_MESSAGE when what
 * arrived is not what was stored.
 *
 * A set may begin before the offset that was asked for, since brokers send whole batches: those records are left out. A
 * batch that cannot be opened is handed over whole when any of its offsets was asked for, under its own base offset, which
 * may then lie before `fetchedOffset`: what it is must not depend on where reading began.
 */
export function openSourceBatch(fetched: FetchedSet): SourceBatch {
  const set = detached(fetched.recordSet)
  const headers = readBatchHeaders(set)
  const last = headers.at(-1)
  const from = Number(fetched.fetchedOffset)
  const wanted = committedBatches(set, headers, fetched.abortedTransactions).filter(
    ({ lastOffset }) => lastOffset >= from,
  )
  return {
    topic: fetched.topic,
    partition: fetched.partition,
    fetchedOffset: toOffset(from),
    nextOffset: toOffset(last === undefined ? from : Math.max(from, last.lastOffset + 1)),
    highWatermark: offset(BigInt(fetched.highWatermark)),
    leaderEpoch: last?.leaderEpoch ?? -1,
    parts: () => readParts(set, wanted, from),
    bytes: set.length,
  }
}

/**
 * A record set is a view on the whole answer, which may hold 16 MiB for other partitions: one that is much smaller gets
 * bytes of its own, so that keeping it does not keep them.
 */
const detached = (set: Buffer): Buffer => (set.buffer.byteLength > 2 * set.length ? Buffer.from(set) : set)

const toOffset = (value: number): Offset => offset(BigInt(value))

async function* readParts(
  set: Buffer,
  batches: readonly RecordBatchHeader[],
  from: number,
): AsyncIterable<SourcePart> {
  for (let next = 0; next < batches.length; ) {
    const plain = plainRun(batches, next)
    if (plain.length > 0) {
      const run = readPlainRun(set, plain, from)
      yield* run.parts
      next += run.read
    } else {
      const batch = batches[next]
      if (batch !== undefined) yield* readPacked(set, batch, from)
      next++
    }
  }
}

/** Neighbours that lie uncompressed in the set and fit into one part: producers with little to say make tiny batches. */
function plainRun(batches: readonly RecordBatchHeader[], start: number): RecordBatchHeader[] {
  const run: RecordBatchHeader[] = []
  let records = 0
  for (let i = start; i < batches.length; i++) {
    const batch = batches[i]
    if (batch === undefined || batch.magic !== 2 || codecOf(batch) !== 0 || !isPlausible(batch)) break
    if (batch.end - batch.start - batchOverhead > MAX_UNPACKED_BATCH_BYTES) break
    records += batch.count
    if (records > partRecords) break
    run.push(batch)
  }
  return run
}

/** The parts of a run up to its end or to its first malformed batch, that one included, and how many batches those are. */
function readPlainRun(set: Buffer, run: readonly RecordBatchHeader[], from: number) {
  const builder = new RecordsBuilder(run.reduce((sum, { count }) => sum + count, 0))
  const parts: SourcePart[] = []
  let read = 0
  for (const batch of run) {
    read++
    const before = builder.count
    const reader = readerOf(batch, set, batch.start + batchOverhead, batch.end, from)
    reader.read(builder)
    if (reader.problem !== null) {
      builder.count = before
      parts.push(undecodable(set, batch, reader.problem))
      break
    }
  }
  if (builder.count > 0) parts.unshift({ kind: 'records', records: builder.finish(set), isLarge: false })
  return { parts, read }
}

async function* readPacked(set: Buffer, batch: RecordBatchHeader, from: number): AsyncIterable<SourcePart> {
  if (batch.magic !== 2) {
    yield undecodable(set, batch, `message format v${batch.magic} is not supported`)
    return
  }
  const payload = set.subarray(batch.start + batchOverhead, batch.end)
  const small = await unpackSmall(codecOf(batch), payload)
  if (small !== null) {
    yield* readUnpacked(set, batch, small, { from, isLarge: false })
    return
  }
  const done = await largeBatches.take()
  try {
    const large = await unpackLarge(codecOf(batch), payload)
    yield* readUnpacked(set, batch, large, { from, isLarge: true })
  } finally {
    done()
  }
}

interface Reading {
  /** The offset that was asked for. */
  readonly from: number
  readonly isLarge: boolean
}

function* readUnpacked(
  set: Buffer,
  batch: RecordBatchHeader,
  unpacked: Unpacked,
  { from, isLarge }: Reading,
): Iterable<SourcePart> {
  if (!unpacked.ok) {
    yield undecodable(set, batch, unpacked.problem)
    return
  }
  const { bytes } = unpacked
  const problem = isPlausible(batch, bytes.length)
    ? null
    : `${batch.count} records cannot be in ${bytes.length} bytes`
  if (problem !== null) {
    yield undecodable(set, batch, problem)
    return
  }
  const reader = () => readerOf(batch, bytes, 0, bytes.length, from)
  if (batch.count > partRecords) {
    const found = findProblem(reader())
    if (found !== null) yield undecodable(set, batch, found)
    else yield* readChunks(bytes, batch, reader(), isLarge)
    return
  }
  const once = reader()
  const builder = new RecordsBuilder(batch.count)
  once.read(builder)
  if (once.problem !== null) yield undecodable(set, batch, once.problem)
  else if (builder.count > 0) yield { kind: 'records', records: builder.finish(bytes), isLarge }
}

/** Reads all and keeps nothing: a batch is good or bad as a whole, so its last record is read before the first is given out. */
function findProblem(reader: RecordReader): string | null {
  const scratch = new RecordsBuilder(partRecords)
  while (!reader.read(scratch)) scratch.count = 0
  return reader.problem
}

function* readChunks(
  bytes: Buffer,
  batch: RecordBatchHeader,
  reader: RecordReader,
  isLarge: boolean,
): Iterable<SourcePart> {
  for (let done = false; !done; ) {
    const builder = new RecordsBuilder(Math.min(batch.count, partRecords))
    done = reader.read(builder)
    if (builder.count > 0) yield { kind: 'records', records: builder.finish(bytes), isLarge }
  }
}

const isPlausible = (batch: RecordBatchHeader, size = batch.end - batch.start - batchOverhead): boolean =>
  batch.count >= 0 && batch.count * smallestRecord <= size && batch.lastOffset >= batch.baseOffset

function readerOf(batch: RecordBatchHeader, bytes: Buffer, start: number, end: number, from: number) {
  return new RecordReader(bytes, start, end, batch.count, {
    baseOffset: batch.baseOffset,
    lastOffsetDelta: batch.lastOffset - batch.baseOffset,
    baseTimestamp: batch.baseTimestamp,
    appendTime: (batch.attributes & logAppendTimeFlag) !== 0 ? batch.maxTimestamp : null,
    fromOffset: from,
  })
}

function undecodable(set: Buffer, batch: RecordBatchHeader, detail: string): SourcePart {
  const whole: UndecodableBatch = {
    firstOffset: toOffset(batch.baseOffset),
    lastOffset: toOffset(batch.lastOffset),
    timestamp: batch.maxTimestamp,
    bytes: set.subarray(batch.start, batch.end),
    detail,
  }
  return { kind: 'undecodable', batch: whole }
}
