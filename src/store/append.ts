import type { PoolClient } from 'pg'
import type { DeadLetterCode, LogEntry, LogId, LogIdentity, Rejection } from '../domain/model.ts'
import { logId, offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { AppendOutcome, AppendRequest } from '../ports.ts'
import type { ChunkPool } from './chunks.ts'
import { CopyIn, type CopyPart } from './copyIn.ts'
import { CopyRows, stampRows } from './copyRows.ts'
import { COPY_DEAD_LETTERS, encodeDeadLetter, INGESTED_AT_IN_DEAD_LETTER } from './deadLetterRows.ts'
import { findDuplicates } from './duplicates.ts'
import { COPY_EVENTS, INGESTED_AT_IN_EVENT } from './eventRows.ts'
import { constraintOf, sqlStateOf } from './failure.ts'
import { timestampHalves } from './int8.ts'
import { type LockedLog, type LockPatience, lockLog } from './lockLog.ts'
import { earliestMs, latestMs, positionOf } from './logRows.ts'
import { insertGaps, moveLog } from './moveLog.ts'
import { type EncodedAppend, reasonOf } from './prepared.ts'
import { probe } from './probe.ts'
import { Abandoned, type Transaction } from './transaction.ts'

/** How far the log's last ingestion time may lie ahead of the clock, and PostgreSQL's clock from ours. */
export const MAX_CLOCK_LEAP_MS = 3_600_000

export interface AppendSettings extends LockPatience {
  readonly chunks: ChunkPool
  readonly dedupWindow: bigint
  /** This process's clock, ms. */
  readonly now: () => number
}

/** No partition of events holds the ingestion time: make it, and append again. */
export class MissingPartition extends Error {}

/**
 * The body of the append transaction (design §4, step 2). Returns an outcome to commit (`appended`, and `moved`, which
 * wrote nothing) or throws: Abandoned with an outcome, MissingPartition, ServiceError, or what the driver threw.
 */
export async function appendInTransaction(
  tx: Transaction,
  client: PoolClient,
  prepared: EncodedAppend,
  currentTopicId: () => Promise<string>,
  settings: AppendSettings,
): Promise<AppendOutcome> {
  const { request } = prepared
  const windowStart = firstOffsetOf(request) - settings.dedupWindow
  const log = await lockLog(tx, client, { id: request.logId, windowStart: offset(windowStart) }, settings)
  // A database that was put back to before a log was opened gives its id away again.
  if (log === null || !isSameSource(log, request.identity)) return { kind: 'moved', position: null }
  if (log.newest_id !== request.logId) throw superseded(logId(log.newest_id))
  const position = positionOf(log)
  if (!isAt(position, request.expected)) return { kind: 'moved', position }

  const topicId = settled(currentTopicId())
  const ingestedMs = ingestionTime(log, settings.now())
  const duplicates = await duplicatesOf(client, prepared, log, windowStart, settings.dedupWindow)
  const events = { rows: prepared.events, omit: [...duplicates.keys()] }
  const deadLetters = [prepared.deadLetters]
  if (duplicates.size > 0) deadLetters.push(deadLettersOf(prepared, duplicates, settings.chunks))
  await copyRows(client, COPY_EVENTS, [events], INGESTED_AT_IN_EVENT, ingestedMs)
  await copyRows(
    client,
    COPY_DEAD_LETTERS,
    deadLetters.map((rows) => ({ rows, omit: [] })),
    INGESTED_AT_IN_DEAD_LETTER,
    ingestedMs,
  )
  await insertGaps(tx, request, ingestedMs)
  const newer = await moveLog(tx, prepared, log, ingestedMs)
  if (newer !== null) throw superseded(newer)

  const current = await topicId()
  if (current !== request.identity.topicId)
    throw new Abandoned<AppendOutcome>({ kind: 'recreated', topicId: current })
  return {
    kind: 'appended',
    events: prepared.events.rows - duplicates.size,
    deadLetters: countCodes(request.entries, duplicates.values()),
    ingestedAt: new Date(ingestedMs),
  }
}

const isSameSource = (log: LockedLog, { topic, partition, topicId }: LogIdentity): boolean =>
  log.topic === topic && log.partition === partition && log.topic_id === topicId

const superseded = (newest: LogId): Abandoned<AppendOutcome> =>
  new Abandoned({ kind: 'superseded', logId: newest })

const isAt = (a: AppendRequest['expected'], b: AppendRequest['expected']): boolean =>
  a.nextOffset === b.nextOffset &&
  a.size === b.size &&
  a.frontier.length === b.frontier.length &&
  a.frontier.every((hash, index) => hash === b.frontier[index])

function firstOffsetOf({ entries, expected }: AppendRequest): bigint {
  const first = entries[0]
  return first?.kind === 'record' ? (first.records.offsets[first.index] as bigint) : expected.nextOffset
}

/** Starts nothing; a rejection waits until it is asked for, or is dropped with the transaction. */
function settled<T>(promise: Promise<T>): () => Promise<T> {
  promise.catch(() => undefined)
  return () => promise
}

/**
 * greatest(PostgreSQL's clock, the log's last time), ms: never decreasing within a log, which is what lets a read bound
 * ingestion time by offsets. A log that lay idle for days is no leap. Fails closed when the clock went back by more
 * than an hour, or lies more than an hour from ours: rows would land in partitions of other days for good.
 */
function ingestionTime(log: LockedLog, nowMs: number): number {
  const clockMs = Number(log.clock_ms)
  const lastMs = latestMs(log)
  if (lastMs - clockMs > MAX_CLOCK_LEAP_MS)
    throw new ServiceError(
      'CLOCK_LEAP',
      `The database clock says ${isoOf(clockMs)}, but log ${log.id} was last appended to at ${isoOf(lastMs)}`,
    )
  if (Math.abs(nowMs - clockMs) > MAX_CLOCK_LEAP_MS)
    throw new ServiceError(
      'CLOCK_LEAP',
      `The database clock says ${isoOf(clockMs)}, but this process's clock ${isoOf(nowMs)}`,
    )
  return Math.max(clockMs, lastMs)
}

const isoOf = (ms: number): string => new Date(ms).toISOString()

/** Row numbers of events whose id is taken, ascending, with the reason. */
async function duplicatesOf(
  client: PoolClient,
  prepared: EncodedAppend,
  log: LockedLog,
  windowStart: bigint,
  window: bigint,
): Promise<Map<number, Rejection>> {
  const count = prepared.events.rows
  const isEmpty = count === 0 || log.size === '0'
  const known = isEmpty
    ? []
    : await probe(client, prepared.ids.parameter(count), {
        logId: prepared.request.logId,
        from: windowStart,
        earliestMs: log.window_ms === null ? earliestMs(log) : Number(log.window_ms),
        latestMs: latestMs(log),
      })
  if (known.length === 0 && !prepared.repeatsAnId) return new Map()
  return findDuplicates(prepared.candidates(), known, window)
}

/** What the duplicates become. */
function deadLettersOf(
  prepared: EncodedAppend,
  duplicates: ReadonlyMap<number, Rejection>,
  chunks: ChunkPool,
): CopyRows {
  const rows = new CopyRows(chunks)
  const { request } = prepared
  for (const [row, reason] of duplicates) {
    const { entry, index } = prepared.event(row)
    encodeDeadLetter(rows, request.logId, entry, request.expected.size + BigInt(index), reason)
  }
  return rows
}

async function copyRows(
  client: PoolClient,
  text: string,
  parts: readonly CopyPart[],
  displacement: number,
  ingestedMs: number,
): Promise<void> {
  if (parts.every(({ rows, omit }) => rows.rows === omit.length)) return
  const { high, low } = timestampHalves(ingestedMs)
  for (const { rows } of parts) stampRows(rows.seal(), displacement, high, low)
  try {
    await client.query(new CopyIn(text, parts)).finished
  } catch (error) {
    const state = sqlStateOf(error)
    // Routing to a partition that does not exist; a CHECK would name its constraint.
    if (state === '23514' && constraintOf(error) === null)
      throw new MissingPartition('no partition of events for the ingestion time', { cause: error })
    if (state === '23505')
      throw new ServiceError('LOG_DAMAGED', 'The log holds a row at an offset that it has not taken yet', {
        cause: error,
      })
    if (state !== null && /^(22|23|54)/.test(state))
      throw new Abandoned<AppendOutcome>({ kind: 'refused', sqlState: state, detail: refusal(state) })
    throw error
  }
}

/** The server's words may hold the data itself; they stay in the server's log. */
const refusal = (state: string): string => `PostgreSQL refused the data with SQLSTATE ${state}`

function countCodes(
  entries: readonly LogEntry[],
  duplicates: Iterable<Rejection>,
): ReadonlyMap<DeadLetterCode, number> {
  const counts = new Map<DeadLetterCode, number>()
  const count = ({ code }: Rejection): void => {
    counts.set(code, (counts.get(code) ?? 0) + 1)
  }
  for (const entry of entries) {
    if (entry.kind === 'gap' || (entry.kind === 'record' && entry.decoded.kind === 'event')) continue
    count(reasonOf(entry))
  }
  for (const duplicate of duplicates) count(duplicate)
  return counts
}
