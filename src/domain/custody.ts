/** Chain of custody: where an event came from and what happened to it, as people see it. */
import type { SourceEvent } from './eventSchema.ts'
import { hashToHex } from './hash.ts'
import type { Classification } from './model.ts'
import { type PresentableEvent, provenanceOf, type Transformation } from './presentEvent.ts'
import type { SignaturePolicy } from './producerSignature.ts'
import type { ReplayStatus } from './replay.ts'

/** An event among others: enough to ask for it. */
export interface EventReference {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
  readonly ingestedAt: string
}

export interface CustodyCheckpoint {
  readonly id: string
  readonly createdAt: string
  readonly createdBy: string
  /** Leaves that it covers, this one among them. */
  readonly size: string
  readonly rootHash: string
  /** `<name>+<key id>` of each key that signed. */
  readonly signedBy: readonly string[]
}

export interface CustodyReplay {
  readonly replayId: string
  /** Of the whole replay: this event was produced whatever it says. */
  readonly status: ReplayStatus
  readonly targetTopic: string
  readonly targetPartition: number
  readonly requestedBy: string
  /** The event was produced between these. */
  readonly plannedAt: string
  readonly producedBy: string
}

/** What the producer's signature is worth, checked again with the keys that were valid when the event was ingested. */
export interface CustodySignature {
  /**
   * `bad` is what nobody looked at then, or what a key signed that ended between decoding and storing, or whose validity
   * was changed since: what is refused becomes a dead letter.
   */
  readonly state: 'none' | 'good' | 'bad'
  /** What the source's events had to show then. */
  readonly policy: SignaturePolicy
  /** `<name>+<key id>` of the key whose signature is good. */
  readonly keyId?: string
  readonly detail?: string
}

/** One step towards the origin: what an event names as its cause, and the events that have this id. */
export interface CustodyCause {
  readonly causationId: string
  /** None: no log holds it as an event. Several: more than one log does. */
  readonly events: readonly EventReference[]
}

/** Of all days that are detached now. */
export interface DetachedDays {
  readonly days: number
  /** `2026-01-31`. */
  readonly first: string
  readonly last: string
}

/** At most so many; `more` says that there are others. */
export interface Bounded<Item> {
  readonly items: readonly Item[]
  readonly more: boolean
}

export interface CustodyView {
  readonly source: {
    readonly topic: string
    readonly topicId: string
    readonly partition: number
    readonly incarnation: number
    readonly offset: string
    readonly leafIndex: string
  }
  readonly times: {
    /** The event's own, ms since 1970. */
    readonly event: number
    /** The Kafka record's, ms since 1970; "-1" when it had none. */
    readonly kafka: string
    readonly ingested: string
  }
  readonly contentHash: string
  readonly leafHash: string
  readonly classification: Classification
  readonly policyTags: readonly string[]
  /** The producer's own, and `ingest`. */
  readonly transformations: readonly Transformation[]
  readonly signature: CustodySignature
  readonly checkpoints: {
    /** That covers the fewest leaves with this one among them, the oldest of those; null when none covers it. */
    readonly first: CustodyCheckpoint | null
    readonly newest: CustodyCheckpoint | null
  }
  /** The newest first. */
  readonly replays: Bounded<CustodyReplay>
  /** From the event's own cause on backwards; empty when it names none. */
  readonly causes: Bounded<CustodyCause>
  /** Events that name this one as their cause. */
  readonly effects: Bounded<EventReference>
  /** Days whose events nobody looked through for causes and effects, since they were detached. Absent when there are none. */
  readonly detached?: DetachedDays
}

/** Whatever follows from the event's own row. */
export function custodyOfRow(
  event: SourceEvent,
  stored: PresentableEvent & {
    readonly topicId: string
    readonly timestampMs: number
    readonly kafkaTimestamp: bigint
  },
): Omit<CustodyView, 'signature' | 'checkpoints' | 'replays' | 'causes' | 'effects' | 'detached'> {
  const { hash, transformations } = provenanceOf(event, stored)
  const { topic, topicId, partition, incarnation } = stored
  return {
    source: {
      topic,
      topicId,
      partition,
      incarnation,
      offset: String(stored.offset),
      leafIndex: String(stored.leafIndex),
    },
    times: {
      event: stored.timestampMs,
      kafka: String(stored.kafkaTimestamp),
      ingested: stored.ingestedAt.toISOString(),
    },
    contentHash: hash,
    leafHash: hashToHex(stored.leafHash),
    classification: stored.classification,
    policyTags: stored.policyTags,
    transformations,
  }
}

/** What a stored value names as its cause; null when it names none. Of a damaged value nothing can be relied on. */
export function causationIdOf(value: unknown): string | null {
  const { metadata } = (value ?? {}) as { readonly metadata?: { readonly causationId?: unknown } }
  const id = metadata?.causationId
  return typeof id === 'string' ? id : null
}
