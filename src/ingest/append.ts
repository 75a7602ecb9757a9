import { appendLeaves } from '../domain/merkle.ts'
import type { DeadLetterCode, LogEntry, LogId, LogPosition, Offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { AppendOutcome, AppendRequest, EventLogWriter, LogState, PreparedAppend } from '../ports.ts'
import type { Group } from './group.ts'

export type GroupOutcome =
  | {
      readonly kind: 'appended'
      readonly events: number
      readonly deadLetters: ReadonlyMap<DeadLetterCode, number>
      readonly bytes: number
      readonly seconds: number
      readonly nextOffset: Offset
      readonly ingestedAt: Date
    }
  | { readonly kind: 'moved'; readonly position: LogPosition | null }
  | { readonly kind: 'recreated'; readonly topicId: string }
  | { readonly kind: 'superseded'; readonly logId: LogId }

type Committed = Extract<AppendOutcome, { kind: 'appended' }>

/** The request that takes a log from `position` over `entries` to `nextOffset`. */
export function appendRequest(
  log: LogState,
  position: LogPosition,
  entries: readonly LogEntry[],
  nextOffset: Offset,
  leaderEpoch: number,
): AppendRequest {
  const grown = appendLeaves(
    position,
    entries.map((entry) => entry.leaf),
  )
  return {
    logId: log.logId,
    identity: log.identity,
    expected: position,
    next: { nextOffset, size: grown.size, frontier: grown.frontier },
    nodes: grown.nodes,
    entries,
    leaderEpoch,
  }
}

/**
 * One group on its way into the log. `attempt` may be called again after a retryable error: an attempt whose outcome is
 * unknown (the connection went away during COMMIT) is settled by reading the log's row before anything is sent again.
 */
export class GroupAppend {
  readonly #writer: EventLogWriter
  readonly #log: LogState
  readonly #request: AppendRequest
  readonly #bytes: number
  readonly #startedMs: number
  #prepared: PreparedAppend | null = null
  #uncertain = false

  constructor(writer: EventLogWriter, log: LogState, request: AppendRequest, group: Group) {
    this.#writer = writer
    this.#log = log
    this.#request = request
    this.#bytes = group.bytes
    this.#startedMs = group.startedMs
  }

  /** Encodes the rows ahead of the transaction. */
  async prepare(): Promise<this> {
    this.#prepared = await this.#writer.prepare(this.#request)
    return this
  }

  async attempt(currentTopicId: () => Promise<string>): Promise<GroupOutcome> {
    if (this.#uncertain) {
      const settled = await this.#settle()
      if (settled !== null) return settled
    }
    try {
      const outcome = await this.#append(this.#request, this.#prepared, currentTopicId)
      return outcome.kind === 'appended' ? this.#report(outcome) : outcome
    } catch (error) {
      this.#uncertain = true
      throw error
    } finally {
      this.#prepared = null
    }
  }

  /** After an unknown outcome: what became of it, or null when it left nothing behind. */
  async #settle(): Promise<GroupOutcome | null> {
    const { topic, partition } = this.#request.identity
    const state = await this.#writer.findLog(topic, partition)
    if (state === null) return { kind: 'moved', position: null }
    // Whether it came to anything before it was followed, the newest log does not depend on.
    if (state.incarnation > this.#log.incarnation) return { kind: 'superseded', logId: state.logId }
    if (state.logId !== this.#request.logId) return { kind: 'moved', position: null }
    if (isSamePosition(state.position, this.#request.next))
      return this.#report(assumedCommitted(this.#request, state))
    return isSamePosition(state.position, this.#request.expected)
      ? null
      : { kind: 'moved', position: state.position }
  }

  async #append(
    request: AppendRequest,
    prepared: PreparedAppend | null,
    currentTopicId: () => Promise<string>,
  ): Promise<Exclude<AppendOutcome, { kind: 'refused' }>> {
    const outcome = await this.#writer.append(
      prepared ?? (await this.#writer.prepare(request)),
      currentTopicId,
    )
    return outcome.kind === 'refused' ? this.#bisect(request, outcome, currentTopicId) : outcome
  }

  /** PostgreSQL refused the data: halve until the culprit stands alone, then keep it as a dead letter. */
  async #bisect(
    request: AppendRequest,
    refusal: Extract<AppendOutcome, { kind: 'refused' }>,
    currentTopicId: () => Promise<string>,
  ): Promise<Exclude<AppendOutcome, { kind: 'refused' }>> {
    const halves =
      request.entries.length > 1 ? this.#halve(request) : [this.#withoutCulprit(request, refusal)]
    let total: Committed | null = null
    for (const half of halves) {
      const outcome = await this.#append(half, null, currentTopicId)
      if (outcome.kind !== 'appended') return outcome
      total = total === null ? outcome : sum(total, outcome)
    }
    if (total === null) throw new ServiceError('INTERNAL', 'nothing was left to append')
    return total
  }

  #halve(request: AppendRequest): AppendRequest[] {
    const { entries, expected, next, leaderEpoch } = request
    const middle = entries.length >> 1
    const boundary = entries[middle]
    if (boundary === undefined) throw new ServiceError('INTERNAL', 'a batch without a middle')
    const first = appendRequest(
      this.#log,
      expected,
      entries.slice(0, middle),
      firstOffsetOf(boundary),
      leaderEpoch,
    )
    const second = appendRequest(this.#log, first.next, entries.slice(middle), next.nextOffset, leaderEpoch)
    return [first, second]
  }

  #withoutCulprit(
    request: AppendRequest,
    refusal: Extract<AppendOutcome, { kind: 'refused' }>,
  ): AppendRequest {
    const entry = request.entries[0]
    if (entry?.kind !== 'record' || entry.decoded.kind === 'rejected') {
      throw new ServiceError(
        'INTERNAL',
        `the database refuses even a dead letter (SQLSTATE ${refusal.sqlState})`,
      )
    }
    const detail = `the database refused it: SQLSTATE ${refusal.sqlState}, ${refusal.detail}`.slice(0, 1_000)
    return { ...request, entries: [{ ...entry, decoded: { kind: 'rejected', code: 'UNSTORABLE', detail } }] }
  }

  #report(outcome: Committed): GroupOutcome {
    return {
      kind: 'appended',
      events: outcome.events,
      deadLetters: outcome.deadLetters,
      bytes: this.#bytes,
      seconds: (performance.now() - this.#startedMs) / 1_000,
      nextOffset: this.#request.next.nextOffset,
      ingestedAt: outcome.ingestedAt,
    }
  }
}

export const isSamePosition = (a: LogPosition, b: LogPosition): boolean =>
  a.nextOffset === b.nextOffset && a.size === b.size && a.frontier.join() === b.frontier.join()

function firstOffsetOf(entry: LogEntry): Offset {
  if (entry.kind === 'record') return (entry.records.offsets[entry.index] ?? 0n) as Offset
  return entry.kind === 'gap' ? entry.from : entry.batch.firstOffset
}

const sum = (a: Committed, b: Committed): Committed => {
  const deadLetters = new Map(a.deadLetters)
  for (const [code, count] of b.deadLetters) deadLetters.set(code, (deadLetters.get(code) ?? 0) + count)
  return { kind: 'appended', events: a.events + b.events, deadLetters, ingestedAt: b.ingestedAt }
}

/** Counts of a commit that was only seen afterwards: duplicates found inside the transaction count as events here. */
function assumedCommitted(request: AppendRequest, state: LogState): Committed {
  let events = 0
  const deadLetters = new Map<DeadLetterCode, number>()
  for (const entry of request.entries) {
    if (entry.kind === 'gap') continue
    if (entry.kind === 'record' && entry.decoded.kind === 'event') events += 1
    else {
      const code =
        entry.kind === 'record' && entry.decoded.kind === 'rejected'
          ? entry.decoded.code
          : 'UNDECODABLE_BATCH'
      deadLetters.set(code, (deadLetters.get(code) ?? 0) + 1)
    }
  }
  return { kind: 'appended', events, deadLetters, ingestedAt: state.lastIngestedAt ?? new Date(0) }
}
