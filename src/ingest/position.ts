import type { LogIdentity, Offset } from '../domain/model.ts'

/** What Kafka says now about the source partition of a log. */
export interface SourceFacts {
  readonly topicId: string
  /** End offset of the leader epoch that the log took its newest records from; null when not known. */
  readonly epochEnd: Offset | null
  /** First offset that Kafka still has. */
  readonly start: Offset
  readonly end: Offset
}

export type PositionVerdict =
  | { readonly kind: 'continue' }
  | { readonly kind: 'recreated'; readonly topicId: string }
  | { readonly kind: 'truncated'; readonly end: Offset }
  | { readonly kind: 'gap'; readonly to: Offset }

/**
 * Decides how a log goes on from its next offset, given what Kafka has. The log's own next offset is the authority;
 * Kafka's group offset plays no part. Truncation after an unclean leader election is found as KIP-320 does it: the end
 * of the log's leader epoch lies below the position.
 */
export function judgePosition(
  identity: LogIdentity,
  nextOffset: Offset,
  facts: SourceFacts,
): PositionVerdict {
  if (facts.topicId !== identity.topicId) return { kind: 'recreated', topicId: facts.topicId }
  if (facts.epochEnd !== null && facts.epochEnd < nextOffset)
    return { kind: 'truncated', end: facts.epochEnd }
  if (facts.end < nextOffset) return { kind: 'truncated', end: facts.end }
  if (facts.start > nextOffset) return { kind: 'gap', to: facts.start }
  return { kind: 'continue' }
}
