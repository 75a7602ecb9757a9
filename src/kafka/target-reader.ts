import { type Offset, offset, type SourceRecords } from '../domain/model.ts'
import type { LastRecord, TargetReader, TargetScan } from '../ports.ts'
import { BrokerLink } from './broker-link.ts'
import type { KafkaConnection } from './connection.ts'
import { pause } from './deadline.ts'
import { codeFault, faultFrom, KafkaFault, unavailable } from './faults.ts'
import type { KafkaBroker } from './internals.ts'
import { readBatchHeaders } from './record-batch-header.ts'
import { type FetchedSet, openSourceBatch } from './source-batch.ts'

const requestTimeoutMs = 30_000
const fetchBytes = 4 * 1024 * 1024
const fetchWaitMs = 100
/** Offsets that the first step back covers, and the longest one. */
const firstStep = 4_096n
const longestStep = 262_144n
/** An open transaction ends by itself after its time-out, 15 minutes at most; whoever asks asks again. */
const hiddenLimitMs = 60_000
const lookAgainMs = 100
const emptyLimitMs = 30_000

const readUncommitted = 0
const readCommitted = 1
const earliest = -2
const latest = -1
const unknownTopic = 3
/** Of the topic, of the cluster. */
const refusals: ReadonlySet<number> = new Set([29, 31])

interface Place {
  readonly topic: string
  readonly partition: number
}

/** Reads what was produced, without a group, in the order in which it is needed: from the end. */
export function createTargetReader(connection: KafkaConnection): TargetReader {
  return {
    scan: (place, from, end, signal) => openScan(connection, place, { from, end }, signal),
    async lastRecord(place, pick, signal) {
      signal.throwIfAborted()
      const link = new BrokerLink(connection, requestTimeoutMs)
      const cut = (): void => link.destroy()
      signal.addEventListener('abort', cut, { once: true })
      try {
        return await searchBackwards(await leaderOf(link, place), place, pick, signal)
      } catch (error) {
        const fault = faultFrom(error)
        if (refusals.has(fault.kafkaCode ?? 0)) return { kind: 'unreadable', reason: fault.message }
        throw unavailable(`${place.topic}/${place.partition} cannot be read back`, fault)
      } finally {
        signal.removeEventListener('abort', cut)
        link.destroy()
      }
    },
  }
}

interface Wanted {
  readonly from: Offset
  readonly end: Offset | null
}

/** Holds one connection until it is closed. */
async function openScan(
  connection: KafkaConnection,
  place: Place,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<TargetScan> {
  signal.throwIfAborted()
  const link = new BrokerLink(connection, requestTimeoutMs)
  const close = (): void => {
    signal.removeEventListener('abort', close)
    link.destroy()
  }
  signal.addEventListener('abort', close, { once: true })
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      close()
      throw unavailable(`${place.topic}/${place.partition} cannot be read back`, faultFrom(error))
    }
  }
  return await guarded(async () => {
    const leader = await leaderOf(link, place)
    const start = await listOffset(leader, place, earliest, readUncommitted)
    const end = wanted.end ?? offset(await listOffset(leader, place, latest, readUncommitted))
    await untilVisible(leader, place, end, signal)
    let at: bigint = wanted.from
    if (at < start) at = start
    const next = async () => {
      if (at >= end) return null
      const batch = openSourceBatch(await fetchSet(leader, place, at, signal))
      const records: SourceRecords[] = []
      let undecodable = 0
      for await (const part of batch.parts()) {
        if (part.kind === 'records') records.push(part.records)
        else undecodable++
      }
      at = batch.nextOffset
      return { records, undecodable, next: batch.nextOffset }
    }
    return { start: offset(start), end, next: () => guarded(next), close }
  })
}

async function leaderOf(link: BrokerLink, { topic, partition }: Place): Promise<KafkaBroker> {
  const found = (await link.metadata([topic])).topics.find(({ name }) => name === topic)
  if (found !== undefined && found.errorCode !== 0) throw codeFault(found.errorCode)
  const leader = found?.partitions.find((candidate) => candidate.partition === partition)?.leader
  if (leader === undefined) throw codeFault(unknownTopic)
  if (leader < 0) throw new KafkaFault('the partition has no leader', { passing: true })
  return await link.node(leader)
}

async function searchBackwards<T>(
  leader: KafkaBroker,
  place: Place,
  pick: (records: SourceRecords, index: number) => T | null,
  signal: AbortSignal,
): Promise<LastRecord<T>> {
  const start = await listOffset(leader, place, earliest, readUncommitted)
  const end = await listOffset(leader, place, latest, readUncommitted)
  await untilVisible(leader, place, end, signal)
  let step = firstStep
  for (let to = end; to > start; step = step < longestStep ? 2n * step : step) {
    let from = to - step
    if (from < start) from = start
    const found = await lastBetween(leader, place, { from, to }, pick, signal)
    if (found !== null) return { kind: 'found', ...found }
    to = from
  }
  return { kind: 'none', start: offset(start) }
}

/** Readers of committed records see only what lies before the first open transaction, whoever's that is. */
async function untilVisible(
  leader: KafkaBroker,
  place: Place,
  end: bigint,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + hiddenLimitMs
  while ((await listOffset(leader, place, latest, readCommitted)) < end) {
    if (performance.now() > until)
      throw new KafkaFault('an open transaction hides its last records', { passing: true })
    await pause(lookAgainMs, signal)
    signal.throwIfAborted()
  }
}

async function listOffset(
  leader: KafkaBroker,
  { topic, partition }: Place,
  timestamp: number,
  isolationLevel: number,
): Promise<bigint> {
  const request = { isolationLevel, topics: [{ topic, partitions: [{ partition, timestamp }] }] }
  const { responses } = await leader.listOffsets(request)
  const found = responses[0]?.partitions.find((candidate) => candidate.partition === partition)
  if (found === undefined) throw new KafkaFault('the answer names another partition')
  return BigInt(found.offset)
}

interface Found<T> {
  readonly value: T
  readonly producerId: bigint
}

async function lastBetween<T>(
  leader: KafkaBroker,
  place: Place,
  { from, to }: { readonly from: bigint; readonly to: bigint },
  pick: (records: SourceRecords, index: number) => T | null,
  signal: AbortSignal,
): Promise<Found<T> | null> {
  let last: Found<T> | null = null
  for (let at = from; at < to; ) {
    signal.throwIfAborted()
    const set = await fetchSet(leader, place, at, signal)
    const batch = openSourceBatch(set)
    for await (const part of batch.parts()) {
      // What cannot be opened was not produced by a replay.
      if (part.kind === 'records') last = lastOf(set, part.records, pick) ?? last
    }
    at = batch.nextOffset
  }
  return last
}

function lastOf<T>(
  set: FetchedSet,
  records: SourceRecords,
  pick: (records: SourceRecords, index: number) => T | null,
): Found<T> | null {
  for (let index = records.count - 1; index >= 0; index--) {
    const value = pick(records, index)
    if (value !== null) return { value, producerId: producerOf(set, Number(records.offsets[index])) }
  }
  return null
}

function producerOf({ recordSet }: FetchedSet, at: number): bigint {
  const header = readBatchHeaders(recordSet).find(
    ({ baseOffset, lastOffset }) => baseOffset <= at && at <= lastOffset,
  )
  if (header === undefined) throw new KafkaFault('a record without a batch')
  return header.producerId
}

/**
 * What follows an offset that lies below the end, at least one batch. A broker that throttles its readers answers with
 * nothing, which must not be taken for the end.
 */
async function fetchSet(
  leader: KafkaBroker,
  place: Place,
  at: bigint,
  signal: AbortSignal,
): Promise<FetchedSet> {
  for (const until = performance.now() + emptyLimitMs; ; ) {
    const set = await fetchOnce(leader, place, at)
    if (readBatchHeaders(set.recordSet).length > 0) return set
    if (performance.now() > until) throw new KafkaFault('no records come', { passing: true })
    await pause(lookAgainMs, signal)
    signal.throwIfAborted()
  }
}

async function fetchOnce(leader: KafkaBroker, { topic, partition }: Place, at: bigint): Promise<FetchedSet> {
  const fetchOffset = at.toString()
  const { responses } = await leader.fetch({
    isolationLevel: readCommitted,
    maxWaitTime: fetchWaitMs,
    maxBytes: fetchBytes,
    topics: [{ topic, partitions: [{ partition, fetchOffset, maxBytes: fetchBytes }] }],
  })
  const found = responses[0]?.partitions.find((candidate) => candidate.partition === partition)
  if (found === undefined) throw new KafkaFault('the answer names another partition')
  return {
    topic,
    partition,
    fetchedOffset: fetchOffset,
    highWatermark: found.highWatermark,
    recordSet: found.messages.buffer,
    abortedTransactions: found.abortedTransactions ?? [],
  }
}
