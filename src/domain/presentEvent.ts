/** A stored event as people see it: the producer's JSON with the provenance filled in and its place in the log. */
import type { SourceEvent } from './eventSchema.ts'
import { hashToHex } from './hash.ts'
import type { Classification, Hash, LeafIndex, Offset } from './model.ts'

/** What the log stores of an event, as far as showing it needs. */
export interface PresentableEvent {
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: Offset
  readonly leafIndex: LeafIndex
  readonly id: string
  readonly classification: Classification
  readonly policyTags: readonly string[]
  /** The value as it arrived; the decoder accepted it. */
  readonly value: Buffer
  readonly contentHash: Hash
  readonly leafHash: Hash
  readonly ingestedAt: Date
}

export interface Transformation {
  readonly operation: string
  readonly timestamp: number
  readonly userId?: string
}

export interface PresentedProvenance {
  /** `sha256:` and 64 hex digits. */
  readonly hash: string
  readonly signature?: string
  readonly policyTags: readonly string[]
  readonly classification: Classification
  readonly source: string
  /** Milliseconds since the epoch. */
  readonly ingestionTime: number
  readonly transformations: readonly Transformation[]
}

export interface PresentedEvent {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly timestamp: number
  readonly data: Readonly<Record<string, unknown>>
  readonly metadata: SourceEvent['metadata']
  readonly provenance: PresentedProvenance
  /** 64 hex digits. */
  readonly leafHash: string
  readonly topic: string
  readonly partition: number
  readonly incarnation: number
  readonly offset: string
  readonly leafIndex: string
}

/**
 * The provenance of an accepted event: what the producer gave, members of other names included, with hash, tags,
 * classification and ingestion time as the log has them, and the transformation `ingest` behind the producer's own.
 */
export function provenanceOf(event: SourceEvent, stored: PresentableEvent): PresentedProvenance {
  const ingestionTime = stored.ingestedAt.getTime()
  const given = event.provenance
  return {
    ...given,
    hash: `sha256:${hashToHex(stored.contentHash)}`,
    policyTags: stored.policyTags,
    classification: stored.classification,
    source: given?.source ?? event.source,
    ingestionTime,
    transformations: [
      ...((given?.transformations ?? []) as readonly Transformation[]),
      { operation: 'ingest', timestamp: ingestionTime },
    ],
  } as PresentedProvenance
}

/**
 * The event as the API shows it. Top-level members that the schema does not name are kept, unless they have the name
 * of something that the log says itself (`leafHash`, `topic`, `partition`, `incarnation`, `offset`,
 * `leafIndex`; of a single event also `custody`).
 * Throws SyntaxError when the stored value is not JSON: then it is not what the decoder accepted.
 */
export function presentEvent(stored: PresentableEvent): PresentedEvent {
  const event = JSON.parse(stored.value.toString('utf8')) as SourceEvent
  return {
    ...event,
    id: stored.id,
    provenance: provenanceOf(event, stored),
    leafHash: hashToHex(stored.leafHash),
    topic: stored.topic,
    partition: stored.partition,
    incarnation: stored.incarnation,
    offset: stored.offset.toString(),
    leafIndex: stored.leafIndex.toString(),
  }
}
