import type { LogIdentity, Offset } from '../domain/model.ts'

/** What Kafka says now about the source partition of a log. */
export interface SourceFacts {
  readonly topicId: string
  /** End offset of the leader epoch that the log took its newest records from; null when not known. */
  readonly epochEnd: Offset | null
  /** First offset that Kafka still has. */
  readonly start: Offset
  readonly end: Offset
  /** What the group has committed, read before the log was; null where there is nothing. */
  readonly committed: Offset | null
}

export type PositionVerdict =
  | { readonly kind: 'continue' }
  | { readonly kind: 'recreated'; readonly topicId: string }
  | { readonly kind: 'truncated'; readonly end: Offset }
  | { readonly kind: 'gap'; readonly to: Offset }
  | { readonly kind: 'lost'; readonly committed: Offset; readonly start: Offset }

/**
 * Decides how a log goes on from its next offset, given what Kafka has. The log's own next offset is the authority;
 * Kafka's group offset never moves it. Truncation after an unclean leader election is found as KIP-320 does it: the end
 * of the log's leader epoch lies below the position.
 *
 * Lost: the group, which follows the log, is ahead of it, so the log once held records that it does not hold now (its database
 * was put back to an older backup), and Kafka no longer has all of them. A gap in their place would lead to another root at
 * a size that may have been signed already.
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
  const { start, committed } = facts
  if (start > nextOffset && committed !== null && committed > nextOffset)
    return { kind: 'lost', committed, start }
  if (start > nextOffset) return { kind: 'gap', to: start }
  return { kind: 'continue' }
}
