import type { Hash, Rejection } from '../domain/model.ts'

/** An event of the batch, as the search for duplicates sees it. */
export interface Candidate {
  /** Number of its row among the batch's events. */
  readonly row: number
  readonly id: string
  readonly offset: bigint
  readonly contentHash: Hash
}

/** An event that stands in the log already. */
export interface KnownEvent {
  readonly id: string
  readonly offset: bigint
  readonly contentHash: Hash
}

/**
 * Which events of a batch repeat an id of an event at most `window` offsets before them, in the log or in the batch:
 * the first stays the event, the newcomer becomes a dead letter. Candidates come in offset order. One that was itself
 * a duplicate hides nobody: what counts is the distance to an event.
 */
export function findDuplicates(
  candidates: Iterable<Candidate>,
  known: readonly KnownEvent[],
  window: bigint,
): Map<number, Rejection> {
  const eventsById = new Map<string, KnownEvent[]>()
  for (const event of known) {
    const events = eventsById.get(event.id)
    if (events === undefined) eventsById.set(event.id, [event])
    else events.push(event)
  }
  const duplicates = new Map<number, Rejection>()
  for (const candidate of candidates) {
    const events = eventsById.get(candidate.id)
    const first = events?.find((event) => event.offset >= candidate.offset - window)
    if (first !== undefined) duplicates.set(candidate.row, reasonOf(candidate, first))
    else if (events === undefined) eventsById.set(candidate.id, [candidate])
    else events.push(candidate)
  }
  return duplicates
}

function reasonOf(candidate: Candidate, first: KnownEvent): Rejection {
  return first.contentHash === candidate.contentHash
    ? {
        kind: 'rejected',
        code: 'DUPLICATE_ID',
        detail: `id ${candidate.id} is already an event of this log, at offset ${first.offset}, with the same content`,
      }
    : {
        kind: 'rejected',
        code: 'ID_CONFLICT',
        detail: `id ${candidate.id} is already an event of this log, at offset ${first.offset}, with other content`,
      }
}
