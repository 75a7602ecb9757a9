/** What of a log no archive holds, and whether Kafka still has it. */
import type { MissingRange } from '../domain/archive/recoveryView.ts'
import type { TopicDirectory } from '../ports.ts'
import type { LogChain } from './chain.ts'
import type { HeldRoot } from './notesHeld.ts'

/** Kafka as it is now. */
export type SourceView = Pick<TopicDirectory, 'describe' | 'bounds'>

export interface TailVerdict {
  readonly missing: readonly MissingRange[]
  /**
   * Where the next incarnation begins, when this log cannot go on: its notes promise leaves that nobody has any more, and
   * with others in their place it would contradict them.
   */
  readonly next: { readonly topicId: string; readonly startOffset: bigint } | null
}

/** What Kafka has of the source partition of a log. */
type Source =
  | { readonly kind: 'unasked' }
  | { readonly kind: 'gone'; readonly detail: string }
  | { readonly kind: 'there'; readonly start: bigint; readonly end: bigint }

/** Throws KAFKA_UNAVAILABLE. */
export async function judgeMissing(
  directory: SourceView | null,
  chain: LogChain,
  all: readonly LogChain[],
  held: readonly HeldRoot[],
): Promise<TailVerdict> {
  const source = await sourceOf(directory, chain, all)
  const tail = judgeTail(source, chain, largest(chain, held))
  return { missing: [...inArchives(chain, source), ...tail.missing], next: tail.next }
}

async function sourceOf(
  directory: SourceView | null,
  { newest: { topic, partition, topicId, incarnation } }: LogChain,
  all: readonly LogChain[],
): Promise<Source> {
  const isFollowed = all.some(
    ({ newest }) =>
      newest.topic === topic && newest.partition === partition && newest.incarnation > incarnation,
  )
  if (isFollowed)
    return { kind: 'gone', detail: 'a later incarnation follows: ingest does not come back to this log' }
  if (directory === null) return { kind: 'unasked' }
  const now = await directory.describe(topic)
  if (now === null) return { kind: 'gone', detail: 'the topic is not there any more' }
  if (now.topicId !== topicId)
    return { kind: 'gone', detail: 'the topic was deleted and made again: it is another one' }
  return { kind: 'there', ...(await directory.bounds(topic, partition)) }
}

/** Leaves that the largest note, or an archive that cannot be reached, says the log had. */
function largest({ unreachable }: LogChain, held: readonly HeldRoot[]): bigint {
  const sizes = [...held.map(({ size }) => size), ...unreachable.map(({ toLeaf }) => BigInt(toLeaf))]
  return sizes.reduce((most, size) => (size > most ? size : most), 0n)
}

/** Between archives: what lies before one that is there. */
function inArchives({ end, endOffset, unreachable }: LogChain, source: Source): readonly MissingRange[] {
  const ranges: MissingRange[] = []
  let [leaf, at] = [end, endOffset]
  for (const { fromLeaf, toLeaf, fromOffset, toOffset } of unreachable) {
    if (BigInt(fromLeaf) > leaf)
      ranges.push({
        ...{ where: 'archive', state: stateOf(source, at), fromLeaf: String(leaf), toLeaf: fromLeaf },
        ...{ fromOffset: String(at), toOffset: fromOffset },
        detail: `no archive holds these leaves, so those behind them up to ${toLeaf} could not be written either`,
      })
    if (BigInt(toLeaf) > leaf) [leaf, at] = [BigInt(toLeaf), BigInt(toOffset)]
  }
  return ranges
}

function stateOf(source: Source, from: bigint): MissingRange['state'] {
  if (source.kind === 'unasked') return 'unknown'
  return source.kind === 'there' && source.start <= from ? 'in-kafka' : 'lost'
}

function judgeTail(
  source: Source,
  { end, endOffset, newest: { topicId } }: LogChain,
  promised: bigint,
): TailVerdict {
  const isShort = promised > end
  const range = {
    where: 'tail' as const,
    fromLeaf: String(end),
    fromOffset: String(endOffset),
    toLeaf: isShort ? String(promised) : null,
  }
  const nothing: TailVerdict = { missing: [], next: null }
  const only = (state: 'lost' | 'unknown', detail: string): readonly MissingRange[] => [
    { ...range, state, toOffset: null, detail },
  ]
  if (source.kind === 'unasked')
    return isShort
      ? { missing: only('unknown', 'they are promised, and Kafka was not asked: give --kafka'), next: null }
      : nothing
  if (source.kind === 'gone') return isShort ? { missing: only('lost', source.detail), next: null } : nothing
  const { start, end: kafkaEnd } = source
  // Each leaf takes an offset or more.
  if (start <= endOffset && kafkaEnd - endOffset < promised - end)
    return {
      missing: only('lost', `they are promised, and Kafka ends at offset ${kafkaEnd}`),
      next: { topicId, startOffset: endOffset },
    }
  const rest = (from: bigint, leaves: Pick<MissingRange, 'fromLeaf' | 'toLeaf'>): readonly MissingRange[] =>
    kafkaEnd > from
      ? [
          {
            ...{ ...range, ...leaves, state: 'in-kafka' },
            ...{ fromOffset: String(from), toOffset: String(kafkaEnd) },
            detail: 'Kafka has them: ingest takes them when it starts',
          },
        ]
      : []
  if (start <= endOffset) return { missing: rest(endOffset, range), next: null }
  const lost: MissingRange = {
    ...{ ...range, state: 'lost', toOffset: String(start) },
    detail: `Kafka begins at offset ${start}`,
  }
  if (!isShort) return { missing: [lost, ...rest(start, range)], next: null }
  return {
    missing: [lost, ...rest(start, { fromLeaf: '0', toLeaf: null })],
    next: { topicId, startOffset: start },
  }
}
