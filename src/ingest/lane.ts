import { setTimeout as sleep } from 'node:timers/promises'
import type { LogPosition } from '../domain/model.ts'
import { type ErrorCode, isRetryable, ServiceError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { EventLogWriter, SourceBatch, SourceConsumer, TopicDirectory } from '../ports.ts'
import { appendRequest, GroupAppend, isSamePosition } from './append.ts'
import { type Closure, closureOf, remedyFor, topicRecreated, untilChanged } from './closure.ts'
import { decodePart, emptyGroup, type RecordDecoder } from './group.ts'
import { GroupOffsetMirror } from './mirror.ts'
import type { IngestObserver } from './observer.ts'
import { type Opened, openSourceLog } from './open.ts'
import { LaneSession } from './session.ts'
import { untilAvailable } from './wait.ts'

export interface LaneSettings {
  /** True: wait for `batchSize` events or `lingerMs` before a transaction. False: commit what each poll brings at once. */
  readonly batchMode: boolean
  readonly batchSize: number
  readonly lingerMs: number
  /** A transaction is cut at whichever comes first, so that memory is bounded however far a batch unpacks. */
  readonly maxGroupEvents: number
  readonly maxGroupBytes: number
  /** Fetched bytes that may wait for decoding before fetching pauses. */
  readonly maxQueuedBytes: number
}

export interface LaneDependencies {
  readonly writer: EventLogWriter
  readonly directory: TopicDirectory
  readonly consumer: SourceConsumer
  readonly observer: IngestObserver
  readonly decode: RecordDecoder
  readonly log: Logger
  readonly groupId: string
  readonly settings: LaneSettings
}

/**
 * Takes one source partition into its log, in order and exactly once.
 *
 * A batch is taken only if it was fetched at exactly the offset where the log goes on; anything else (a batch from an
 * old position after a rebalance, Kafka's silent reset, a topic made again) leads back to the log's row in PostgreSQL,
 * the only authority. Decoding and encoding of the next group run while the one before is being committed.
 */
export class PartitionLane {
  readonly #topic: string
  readonly #partition: number
  readonly #deps: LaneDependencies
  readonly #mirror: GroupOffsetMirror
  readonly #stopped = new AbortController()
  /** Sessions that broke since the last commit: each waits longer before it is opened again. */
  #breaks = 0
  #session: LaneSession | null = null
  /** Under way until there is a session: also while the log is closed and an operator is waited for. */
  #opening: AbortController | null = null
  #closed = false

  constructor(topic: string, partition: number, deps: LaneDependencies) {
    this.#topic = topic
    this.#partition = partition
    this.#deps = deps
    this.#mirror = new GroupOffsetMirror((next) => deps.consumer.commit(partition, next), deps.log)
  }

  /** Points the consumer at where the log goes on, opening it first if need be. Called on every assignment; returns at once. */
  assign(): void {
    if (this.#closed) this.#deps.consumer.pause(this.#partition)
    else if (this.#session !== null) this.#deps.consumer.seek(this.#partition, this.#session.fetchNext)
    else this.#open()
  }

  /**
   * Takes a fetched batch, or drops it and seeks when it does not join on. Never waits: kafkajs fetches on only when every
   * partition of a broker has returned, so a lane that cannot take more pauses its own partition until it can.
   */
  take(batch: SourceBatch): void {
    const session = this.#session
    if (session === null || this.#stopped.signal.aborted) {
      this.#deps.consumer.pause(this.#partition)
      if (!this.#closed) this.#open()
      return
    }
    this.#deps.observer.lag(this.#topic, this.#partition, batch.highWatermark - batch.nextOffset)
    if (batch.fetchedOffset !== session.fetchNext) {
      this.#rejoin(session)
      return
    }
    session.seeksInARow = 0
    session.fetchNext = batch.nextOffset
    session.push(batch)
    if (session.queuedBytes >= this.#deps.settings.maxQueuedBytes) this.#holdFetching(session)
  }

  /** What was fetched could not be read at all (a record set whose checksum is wrong); it is fetched again. */
  trouble(error: unknown): void {
    this.#waiting(asServiceError(error))
  }

  /** The partition went to another member: stop taking, let the append in flight finish. */
  release(): void {
    this.#opening?.abort()
    this.#opening = null
    this.#session?.end()
    this.#session = null
    this.#closed = false
    this.#mirror.forget()
    this.#deps.observer.released(this.#topic, this.#partition)
  }

  /** Ends the lane for good; the append in flight finishes. The caller bounds the time. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    const session = this.#session
    session?.end()
    await session?.tail
    await this.#mirror.close()
    this.#deps.observer.released(this.#topic, this.#partition)
  }

  #holdFetching(session: LaneSession): void {
    this.#deps.consumer.pause(this.#partition)
    void session.room(this.#deps.settings.maxQueuedBytes).then(() => {
      if (this.#session === session) this.#deps.consumer.resume(this.#partition)
    })
  }

  /** The batch does not join on: fetch again from where the log goes on; if that does not help, look closer. */
  #rejoin(session: LaneSession): void {
    session.seeksInARow += 1
    if (session.seeksInARow > 1) this.#restart(session)
    else this.#deps.consumer.seek(this.#partition, session.fetchNext)
  }

  #restart(session: LaneSession): void {
    session.end()
    if (this.#session !== session) return
    this.#session = null
    if (!this.#stopped.signal.aborted) this.#open()
  }

  #open(closure: Closure | null = null): void {
    if (this.#opening !== null) return
    const opening = new AbortController()
    this.#opening = opening
    void this.#openUntilDone(AbortSignal.any([this.#stopped.signal, opening.signal]), closure).finally(() => {
      if (this.#opening === opening) this.#opening = null
    })
  }

  /** Never rejects. Ends without a word when `signal` says that nobody wants the partition here any more. */
  async #openUntilDone(signal: AbortSignal, closure: Closure | null): Promise<void> {
    const { consumer, observer } = this.#deps
    try {
      if (closure === null && this.#breaks > 0) await sleep(backoffMs(this.#breaks), undefined, { signal })
      const { log, ahead } = await this.#openLog(signal, closure)
      if (signal.aborted) return
      this.#closed = false
      // What broke a session before is over when something commits, not when it is tried again.
      if (this.#breaks === 0) observer.waiting(this.#topic, this.#partition, null)
      observer.opened(this.#topic, this.#partition)
      const session = new LaneSession(log)
      this.#session = session
      // Whoever had it before may have been killed before he could say how far it was. A group that is ahead stays there
      // until all that the database has lost is there again: nothing else tells of it.
      this.#mirror.startAt(ahead)
      this.#mirror.moveTo(log.position.nextOffset)
      consumer.seek(this.#partition, log.position.nextOffset)
      consumer.resume(this.#partition)
      void this.#run(session)
    } catch (error) {
      if (!signal.aborted) this.#fail(error)
    }
  }

  /** The log to go on with. Servers that are away are waited for, and an operator while the log is closed. */
  async #openLog(signal: AbortSignal, closure: Closure | null): Promise<Extract<Opened, { kind: 'open' }>> {
    for (let closed = closure; ; ) {
      if (closed !== null) {
        this.#close(closed)
        const onWait = (error: ServiceError | null): void => this.#waiting(error)
        const change = await untilChanged(this.#deps.writer, closed.log, onWait, signal)
        if (change === 'superseded') this.#followed()
        else this.#restored()
      }
      const opened = await untilAvailable(
        () => openSourceLog(this.#deps, this.#topic, this.#partition),
        (error) => this.#waiting(error),
        signal,
      )
      if (opened.kind === 'open') return opened
      signal.throwIfAborted()
      closed = opened
    }
  }

  /** Decodes what is fetched into groups and hands them to the writer, until the session ends. */
  async #run(session: LaneSession): Promise<void> {
    const { settings } = this.#deps
    try {
      while (!session.signal.aborted) {
        const lingerMs = this.#lingerLeft(session)
        const batch = await session.take(lingerMs ?? idleLookMs)
        if (session.signal.aborted) return
        if (batch !== null) await this.#decode(session, batch)
        else if (lingerMs === null) await this.#lookAtRow(session)
        const enough = !settings.batchMode || session.group.entries.length >= settings.batchSize
        if (batch === null || (session.isIdle && enough)) await this.#flush(session)
      }
    } catch (error) {
      if (!session.signal.aborted) this.#breakOff(session, error)
    }
  }

  /**
   * While records come, each append is held against the log's row. Where none come, this is how a database that was put
   * back to an older backup, or a new incarnation, is noticed.
   */
  async #lookAtRow(session: LaneSession): Promise<void> {
    await session.tail
    let waited = false
    const newest = await untilAvailable(
      () => this.#deps.writer.findLog(this.#topic, this.#partition),
      (error) => {
        waited = true
        this.#waiting(error)
      },
      session.signal,
    )
    if (waited) this.#waiting(null)
    const { log, position } = session
    if (session.signal.aborted) return
    if (newest !== null && newest.incarnation > log.incarnation) {
      this.#followed()
      this.#restart(session)
    } else if (newest?.logId !== log.logId) this.#movedOn(session, null)
    else if (!isSamePosition(newest.position, position)) this.#movedOn(session, newest.position)
  }

  /** How long a group that is too small may still wait for more; null when there is nothing to wait with. */
  #lingerLeft({ group, position: { nextOffset } }: LaneSession): number | null {
    if (group.entries.length === 0 && group.nextOffset === nextOffset) return null
    return Math.max(0, group.startedMs + this.#deps.settings.lingerMs - performance.now())
  }

  async #decode(session: LaneSession, batch: SourceBatch): Promise<void> {
    const { settings, decode } = this.#deps
    if (batch.leaderEpoch > session.leaderEpoch && session.leaderEpoch >= 0) {
      await this.#checkEpoch(session, batch.leaderEpoch)
    }
    session.leaderEpoch = Math.max(session.leaderEpoch, batch.leaderEpoch)
    for await (const part of batch.parts()) {
      for (const _ of decodePart(part, () => session.group, decode)) {
        if (session.signal.aborted) return
        const { entries, bytes } = session.group
        if (entries.length >= settings.maxGroupEvents || bytes >= settings.maxGroupBytes) {
          await this.#flush(session)
        } else {
          await nextTurn()
        }
      }
      if (part.kind === 'records' && part.isLarge) await this.#letGo(session)
    }
    session.group.nextOffset = batch.nextOffset
  }

  /** Holds on to nothing that was decoded so far: it is committed, or the session has ended. */
  async #letGo(session: LaneSession): Promise<void> {
    await this.#flush(session)
    await session.tail
  }

  /** A new leader epoch: records before it may have been cut off (KIP-320). Throws SOURCE_TRUNCATED. */
  async #checkEpoch(session: LaneSession, leaderEpoch: number): Promise<void> {
    const end = await this.#deps.directory.epochEnd(this.#topic, this.#partition, session.leaderEpoch)
    if (end === null || end >= session.group.nextOffset) return
    throw new ServiceError(
      'SOURCE_TRUNCATED',
      `${this.#topic}/${this.#partition}: leader epoch ${session.leaderEpoch} ends at offset ${end}, the log is at ` +
        `${session.group.nextOffset}; the leader is now of epoch ${leaderEpoch}`,
    )
  }

  async #flush(session: LaneSession): Promise<void> {
    const group = session.group
    const unchanged = group.entries.length === 0 && group.nextOffset === session.position.nextOffset
    if (unchanged || session.signal.aborted) return
    session.group = emptyGroup(group.nextOffset, session.leaderEpoch)
    const { log, position, leaderEpoch } = session
    const request = appendRequest(log, position, group.entries, group.nextOffset, leaderEpoch)
    session.position = request.next
    const append = await new GroupAppend(this.#deps.writer, log, request, group).prepare()
    await session.tail
    if (session.signal.aborted) return
    session.tail = this.#commit(session, append, request.next)
  }

  async #commit(session: LaneSession, append: GroupAppend, next: LogPosition): Promise<void> {
    const { directory, observer } = this.#deps
    try {
      const outcome = await untilAvailable(
        () => append.attempt(() => directory.currentTopicId(this.#topic, this.#partition)),
        (error) => this.#waiting(error),
        session.signal,
      )
      observer.waiting(this.#topic, this.#partition, null)
      if (outcome.kind === 'moved') return this.#movedOn(session, outcome.position)
      if (outcome.kind === 'superseded') {
        this.#followed()
        return this.#restart(session)
      }
      if (outcome.kind === 'recreated') throw topicRecreated(session.log.identity, outcome.topicId)
      this.#breaks = 0
      session.committed = next
      observer.appended({ topic: this.#topic, partition: this.#partition, ...outcome })
      // A later session, or another process, tells where the log is by now.
      if (this.#session === session) this.#mirror.moveTo(outcome.nextOffset)
    } catch (error) {
      if (!session.signal.aborted) this.#breakOff(session, error)
    }
  }

  #movedOn(session: LaneSession, position: LogPosition | null): void {
    const place = { topic: this.#topic, partition: this.#partition }
    if (position === null) this.#deps.log.warn('the database does not have the log any more', place)
    else
      this.#deps.log.info(
        'the log is elsewhere than expected: another process appended, or commits were lost',
        { ...place, nextOffset: position.nextOffset.toString() },
      )
    this.#restart(session)
  }

  #restored(): void {
    const place = { topic: this.#topic, partition: this.#partition }
    this.#deps.log.warn('a closed log is not what it was when it was closed: it is judged again', place)
  }

  #followed(): void {
    const place = { topic: this.#topic, partition: this.#partition }
    this.#deps.log.info('an operator opened a new incarnation: ingest goes on in it', place)
  }

  /**
   * A session that broke starts again from the log's row, which is also what decides whether the log is closed: a source
   * that was cut back below what was fetched may still reach beyond what was committed. What the row cannot tell, and
   * trying again does not mend, closes the log.
   */
  #breakOff(session: LaneSession, error: unknown): void {
    session.end()
    if (this.#session !== session) return
    this.#breaks += 1
    if (error instanceof ServiceError && !isRetryable(error.code)) {
      const isJudged = remedyFor(error.code, this.#topic, this.#partition) !== null
      this.#session = null
      this.#open(isJudged ? null : closureOf({ ...session.log, position: session.committed }, error))
      return
    }
    this.#waiting(asServiceError(error))
    this.#deps.log.warn('ingest of a partition starts again from its log', {
      topic: this.#topic,
      partition: this.#partition,
      error,
    })
    this.#restart(session)
  }

  /** Before there was a log, for a reason that nobody foresaw: only a new assignment opens it again. */
  #fail(error: unknown): void {
    const code: ErrorCode = error instanceof ServiceError ? error.code : 'INTERNAL'
    const detail = error instanceof ServiceError ? error.message : 'unexpected error; see the log'
    this.#close({ code, detail, error })
  }

  #close({ code, detail, error }: Omit<Closure, 'log' | 'error'> & { readonly error: unknown }): void {
    if (this.#stopped.signal.aborted) return
    const place = { topic: this.#topic, partition: this.#partition }
    this.#closed = true
    this.#mirror.forget()
    // What the session that broke had waited for.
    this.#waiting(null)
    this.#deps.consumer.pause(this.#partition)
    this.#deps.log.error('ingest of a partition fails closed', { ...place, code, detail, error })
    this.#deps.observer.closed(this.#topic, this.#partition, code, detail)
  }

  #waiting(error: ServiceError | null): void {
    const reason = error === null ? null : { code: error.code, detail: error.message }
    this.#deps.observer.waiting(this.#topic, this.#partition, reason)
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const asServiceError = (error: unknown): ServiceError =>
  error instanceof ServiceError ? error : new ServiceError('INTERNAL', 'an unexpected error; see the log')
/** How often the row of an idle log is read: one small query each time. */
const idleLookMs = 10_000
const backoffMs = (breaks: number): number => Math.min(100 * 2 ** (breaks - 1), 5_000)
