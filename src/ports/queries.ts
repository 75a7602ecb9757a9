/** Queries and the record of actions (src/store). */
import type { Bounded, CustodyReplay, CustodyView, DetachedDays, EventReference } from '../domain/custody.ts'
import type { Classification, DeadLetterCode, Hash, LeafIndex, LogId, Offset } from '../domain/model.ts'
import type { SignaturePolicy } from '../domain/producerSignature.ts'
import type { GoneLog, NamedLog } from '../domain/verification/stored.ts'
import type { LogState } from './append.ts'
import type { Page } from './replays.ts'

/** An event as the API shows it; bytes are the stored value. */
export interface StoredEvent {
  readonly logId: LogId
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly incarnation: number
  /** At which its log begins. */
  readonly startOffset: Offset
  readonly offset: Offset
  readonly leafIndex: LeafIndex
  readonly id: string
  readonly type: string
  readonly source: string
  readonly tenantId: string | null
  readonly timestampMs: number
  readonly kafkaTimestamp: bigint
  readonly classification: Classification
  readonly policyTags: readonly string[]
  readonly key: Buffer | null
  readonly value: Buffer
  readonly headers: Buffer
  readonly contentHash: Hash
  readonly leafHash: Hash
  readonly ingestedAt: Date
}

export interface StoredDeadLetter {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: Offset
  readonly leafIndex: LeafIndex
  readonly code: DeadLetterCode
  readonly detail: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Buffer
  readonly kafkaTimestamp: bigint
  readonly ingestedAt: Date
}

export interface EventQuery {
  readonly topic?: string
  readonly partition?: number
  /** All of them when absent. */
  readonly incarnation?: number
  readonly type?: string
  readonly source?: string
  readonly tenantId?: string
  readonly classification?: Classification
  readonly fromOffset?: Offset
  readonly toOffset?: Offset
  readonly cursor?: string
  readonly limit: number
}

export interface DeadLetterQuery {
  readonly topic?: string
  readonly partition?: number
  /** All of them when absent. */
  readonly incarnation?: number
  readonly code?: DeadLetterCode
  readonly cursor?: string
  readonly limit: number
}

/** What tells events with the same id apart: the log, and the place in it. */
export interface EventPlace {
  readonly topic?: string
  readonly partition?: number
  readonly incarnation?: number
  readonly offset?: Offset
}

export interface LogQuery {
  readonly topic?: string
  readonly partition?: number
  readonly cursor?: string
  readonly limit: number
}

export interface ListedLog extends LogState {
  /** A newer incarnation follows it. */
  readonly superseded: boolean
}

export interface OperatorAction {
  /** Who asked: `X-Requested-By`, or `anonymous`. */
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly outcome: string
  readonly requestId: string
  readonly detail: unknown
}

export interface QueryStore {
  findEvents(query: EventQuery): Promise<Page<StoredEvent>>
  /** All events with the id, of all logs, narrowed by where they stand. At most 100. */
  findEventsById(id: string, where: EventPlace): Promise<readonly StoredEvent[]>
  findDeadLetters(query: DeadLetterQuery): Promise<Page<StoredDeadLetter>>
  recordAction(action: OperatorAction): Promise<void>
  allLogs(): Promise<readonly LogState[]>
  /** All that have a row, whatever it says. */
  namedLogs(): Promise<readonly NamedLog[]>
  /** The first hundred that rows of other tables name, and that have none. */
  goneLogs(): Promise<readonly GoneLog[]>
  /** Logs of all incarnations in the order in which they were opened. */
  findLogs(query: LogQuery): Promise<Page<ListedLog>>
}

/** What happened to one event; every answer is bounded. */
export interface CustodyStore {
  checkpointsOver(id: LogId, index: LeafIndex): Promise<CustodyView['checkpoints']>
  replaysOf(event: StoredEvent): Promise<Bounded<CustodyReplay>>
  /** Events that name the id as their cause. */
  effectsOf(id: string): Promise<Bounded<EventReference>>
  /** The events with the id, and what the first of them names as its own cause. Any text: not every one is an id. */
  cause(id: string): Promise<{
    readonly events: readonly EventReference[]
    readonly causationId: string | null
  }>
  /** What a source's events had to show at that time. */
  policyAt(source: string, at: Date): Promise<SignaturePolicy>
  /** Null when no day is detached. */
  detachedDays(): Promise<DetachedDays | null>
}

export interface SchemaProbe {
  /** `ready`, or what is wrong; throws DATABASE_UNAVAILABLE when nobody answers. */
  check(): Promise<'ready' | 'missing' | 'outdated'>
}
