/** What of a log no archive holds, and whether Kafka still has it. */
import type { MissingRange } from '../domain/archive/recoveryView.ts'
import { parseArchiveRequest } from '../domain/archive/request.ts'
import type { TopicDirectory } from '../ports.ts'
import { type LogChain, unreachableOf } from './chain.ts'
import type { HeldRoot } from './notesHeld.ts'

/** Kafka as it is now. */
export type SourceView = Pick<TopicDirectory, 'describe' | 'bounds' | 'config'>

export interface TailVerdict {
  readonly missing: readonly MissingRange[]
  /** Where this log goes on. */
  readonly nextOffset: bigint
  /** Offsets between its last leaf and there that nothing shows to be empty but the archive's word. */
  readonly unproven: bigint
  /**
   * Where the next incarnation begins, when this log cannot go on: its notes promise leaves that nobody has any more, and
   * with others in their place it would contradict them.
   */
  readonly next: { readonly topicId: string; readonly startOffset: bigint } | null
  /** Kafka has the very topic that the log is of: ingest comes back to it. */
  readonly isThere: boolean
}

/** What Kafka has of the source partition of a log. */
type Source =
  | { readonly kind: 'unasked' }
  /** A later incarnation follows: ingest does not come back to this log. `isWhole`: an archive that was made then holds its end. */
  | { readonly kind: 'followed'; readonly isWhole: boolean }
  | { readonly kind: 'gone'; readonly detail: string }
  /** Of a compacted topic nobody knows which records are still there. */
  | { readonly kind: 'there'; readonly start: bigint; readonly end: bigint; readonly isCompacted: boolean }

/** `leafEnd`: first offset behind the last leaf that was read. Throws KAFKA_UNAVAILABLE. */
export async function judgeMissing(
  directory: SourceView | null,
  chain: LogChain,
  all: readonly LogChain[],
  held: readonly HeldRoot[],
  leafEnd: bigint,
): Promise<TailVerdict> {
  const source = await sourceOf(directory, chain, all)
  const nextOffset = goesOnAt(source, chain, leafEnd)
  const tail = judgeTail(source, chain, nextOffset, most(held.map(({ size }) => size)))
  const unproven = source.kind === 'followed' ? 0n : nextOffset - leafEnd
  const missing = [...inArchives(chain, source), ...tail.missing]
  return { ...tail, missing, nextOffset, unproven, isThere: source.kind === 'there' }
}

/**
 * Behind the last leaf may lie offsets without records, of aborted transactions, and only the archive says how many. Where Kafka
 * still has them it is asked again: ingest goes on at the leaf, and comes to the same leaves.
 */
const goesOnAt = (source: Source, { endOffset }: LogChain, leafEnd: bigint): bigint =>
  source.kind === 'there' && source.start <= leafEnd && source.end >= endOffset ? leafEnd : endOffset

async function sourceOf(
  directory: SourceView | null,
  chain: LogChain,
  all: readonly LogChain[],
): Promise<Source> {
  const { topic, partition, topicId, incarnation } = chain.newest
  const following = all.find(
    ({ newest }) =>
      newest.topic === topic && newest.partition === partition && newest.incarnation > incarnation,
  )
  if (following !== undefined) return { kind: 'followed', isWhole: holdsEnd(chain, following) }
  if (directory === null) return { kind: 'unasked' }
  const now = await directory.describe(topic)
  if (now === null) return { kind: 'gone', detail: 'the topic is not there any more' }
  if (now.topicId !== topicId)
    return { kind: 'gone', detail: 'the topic was deleted and made again: it is another one' }
  const { cleanupPolicy } = await directory.config(topic)
  const isCompacted = cleanupPolicy.includes('compact')
  return { kind: 'there', ...(await directory.bounds(topic, partition)), isCompacted }
}

/**
 * A log takes nothing any more when the next incarnation is opened. An archive that was made later, and not up to a leaf or a
 * time before, has all of it.
 */
const holdsEnd = ({ parts, end }: LogChain, { newest: { createdAt: closedMs } }: LogChain): boolean =>
  parts.some(({ archive: { manifest }, log }) => {
    const request = parseArchiveRequest(manifest.request)
    if (BigInt(log.toLeaf) !== end || manifest.createdAt < closedMs || !request.ok) return false
    const { to, toLeaf } = request.value
    return toLeaf === undefined && (to === undefined || Date.parse(to) > closedMs)
  })

function most(values: readonly bigint[]): bigint {
  let largest = 0n
  for (const value of values) if (value > largest) largest = value
  return largest
}

/** Between archives: what lies before one that is there, and what it holds itself, since it cannot be written without that. */
function inArchives(chain: LogChain, source: Source): readonly MissingRange[] {
  const ranges: MissingRange[] = []
  let [leaf, at] = [chain.end, chain.endOffset]
  for (const { fromLeaf, toLeaf, fromOffset, toOffset } of unreachableOf(chain)) {
    if (BigInt(fromLeaf) > leaf)
      ranges.push({
        ...{
          where: 'archive',
          state: stateOf(source, at, BigInt(fromOffset)),
          fromLeaf: String(leaf),
          toLeaf: fromLeaf,
        },
        ...{ fromOffset: String(at), toOffset: fromOffset },
        detail: `no archive holds these leaves, so those behind them up to ${toLeaf} could not be written either`,
      })
    if (BigInt(toLeaf) <= leaf) continue
    const state = stateOf(source, BigInt(fromOffset), BigInt(toOffset))
    if (state === 'lost')
      ranges.push({
        ...{ where: 'archive', state, fromLeaf, toLeaf, fromOffset, toOffset },
        detail: 'an archive holds these leaves; without those before them they could not be written',
      })
    ;[leaf, at] = [BigInt(toLeaf), BigInt(toOffset)]
  }
  return ranges
}

function stateOf(source: Source, from: bigint, to: bigint): MissingRange['state'] {
  if (source.kind === 'unasked') return 'unknown'
  if (source.kind !== 'there' || source.start > from || source.end < to) return 'lost'
  return inKafka(source)
}

const inKafka = ({ isCompacted }: { readonly isCompacted: boolean }): 'in-kafka' | 'unknown' =>
  isCompacted ? 'unknown' : 'in-kafka'

const FOLLOWED = 'a later incarnation follows: ingest does not come back to this log'

const NOT_TO_ITS_END =
  'a later incarnation follows, and no archive that was made since then holds this log to its end: whether it had more, nobody knows'

function judgeTail(
  source: Source,
  chain: LogChain,
  nextOffset: bigint,
  promised: bigint,
): Pick<TailVerdict, 'missing' | 'next'> {
  const { end, newest } = chain
  const { topicId } = newest
  const isShort = promised > end
  const range = {
    where: 'tail' as const,
    fromLeaf: String(end),
    fromOffset: String(nextOffset),
    toLeaf: isShort ? String(promised) : null,
  }
  const only = (state: 'lost' | 'unknown', detail: string) => ({
    missing: [{ ...range, state, toOffset: null, detail }],
    next: null,
  })
  switch (source.kind) {
    case 'followed':
      if (isShort) return only('lost', FOLLOWED)
      return source.isWhole ? { missing: [], next: null } : only('unknown', NOT_TO_ITS_END)
    case 'unasked':
      return only(
        'unknown',
        isShort
          ? 'they are promised, and Kafka was not asked: give --kafka'
          : 'whether there were any, Kafka was not asked: give --kafka',
      )
    case 'gone':
      return isShort
        ? only('lost', source.detail)
        : only('unknown', `${source.detail}; whether there were any, nobody knows`)
    case 'there':
      break
    default:
      return source satisfies never
  }
  const { start, end: kafkaEnd } = source
  const endOffset = most([chain.endOffset, ...unreachableOf(chain).map(({ toOffset }) => BigInt(toOffset))])
  if (kafkaEnd < endOffset) {
    const truncated: MissingRange = {
      ...{ ...range, state: 'truncated', fromOffset: String(kafkaEnd), toOffset: String(endOffset) },
      detail: `Kafka ends at offset ${kafkaEnd}, and the log went on to ${endOffset}: Kafka lost records that the log has`,
    }
    return { missing: [truncated], next: isShort ? { topicId, startOffset: start } : null }
  }
  // Each leaf takes an offset or more.
  if (start <= nextOffset && isShort && kafkaEnd - nextOffset < promised - end)
    return {
      ...only('lost', `they are promised, and Kafka ends at offset ${kafkaEnd}`),
      next: { topicId, startOffset: nextOffset },
    }
  const rest = (from: bigint, leaves: Pick<MissingRange, 'fromLeaf' | 'toLeaf'>): readonly MissingRange[] =>
    kafkaEnd > from
      ? [
          {
            ...{ ...range, ...leaves, state: inKafka(source) },
            ...{ fromOffset: String(from), toOffset: String(kafkaEnd) },
            detail: source.isCompacted
              ? 'the topic is compacted: Kafka may have removed some of them, and ingest takes the others when it starts'
              : 'Kafka has them: ingest takes them when it starts',
          },
        ]
      : []
  if (start <= nextOffset) return { missing: rest(nextOffset, range), next: null }
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
