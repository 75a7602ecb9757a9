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

/** Throws KAFKA_UNAVAILABLE. */
export async function judgeMissing(
  source: SourceView | null,
  chain: LogChain,
  all: readonly LogChain[],
  held: readonly HeldRoot[],
): Promise<TailVerdict> {
  const { topic, partition, incarnation } = chain.newest
  const isNewest = !all.some(
    ({ newest }) =>
      newest.topic === topic && newest.partition === partition && newest.incarnation > incarnation,
  )
  const between = inArchives(chain)
  const promised = largest(chain, held)
  const tail = await judgeTail(source, chain, isNewest, promised)
  return { missing: [...between, ...tail.missing], next: tail.next }
}

/** Leaves that the largest note, or an archive that cannot be reached, says the log had. */
function largest({ unreachable }: LogChain, held: readonly HeldRoot[]): bigint {
  const sizes = [...held.map(({ size }) => size), ...unreachable.map(({ toLeaf }) => BigInt(toLeaf))]
  return sizes.reduce((most, size) => (size > most ? size : most), 0n)
}

/** Between archives: what lies before one that is there, and which one is not. */
function inArchives({ end, endOffset, unreachable }: LogChain): readonly MissingRange[] {
  const ranges: MissingRange[] = []
  let [leaf, at] = [end, endOffset]
  for (const { fromLeaf, toLeaf, fromOffset, toOffset } of unreachable) {
    if (BigInt(fromLeaf) > leaf)
      ranges.push({
        ...{ where: 'archive', state: 'unknown', fromLeaf: String(leaf), toLeaf: fromLeaf },
        ...{ fromOffset: String(at), toOffset: fromOffset },
        detail: `no archive holds these leaves, so those behind them up to ${toLeaf} could not be written either`,
      })
    if (BigInt(toLeaf) > leaf) [leaf, at] = [BigInt(toLeaf), BigInt(toOffset)]
  }
  return ranges
}

async function judgeTail(
  source: SourceView | null,
  { end, endOffset, newest: { topic, partition, topicId } }: LogChain,
  isNewest: boolean,
  promised: bigint,
): Promise<TailVerdict> {
  const range = {
    where: 'tail' as const,
    fromLeaf: String(end),
    fromOffset: String(endOffset),
    toLeaf: promised > end ? String(promised) : null,
  }
  const isShort = promised > end
  if (!isNewest) {
    if (!isShort) return { missing: [], next: null }
    const detail =
      'a note promises them, and a later incarnation follows: ingest does not come back to this log'
    return { missing: [{ ...range, state: 'lost', toOffset: null, detail }], next: null }
  }
  if (source === null) {
    if (!isShort) return { missing: [], next: null }
    const detail = 'a note promises them, and Kafka was not asked: give --kafka'
    return { missing: [{ ...range, state: 'unknown', toOffset: null, detail }], next: null }
  }
  const topicNow = await source.describe(topic)
  if (topicNow === null || topicNow.topicId !== topicId) {
    const detail =
      topicNow === null
        ? 'the topic is not there any more'
        : 'the topic was deleted and made again: another one'
    if (!isShort) return { missing: [], next: null }
    return { missing: [{ ...range, state: 'lost', toOffset: null, detail }], next: null }
  }
  const { start, end: kafkaEnd } = await source.bounds(topic, partition)
  if (kafkaEnd < endOffset) {
    const detail = `Kafka ends at offset ${kafkaEnd}: it has less than the log took, and ingest will say SOURCE_TRUNCATED`
    return { missing: isShort ? [{ ...range, state: 'lost', toOffset: null, detail }] : [], next: null }
  }
  const inKafka = (from: bigint): MissingRange[] =>
    kafkaEnd > from
      ? [
          {
            ...{ where: 'tail', state: 'in-kafka', fromLeaf: String(end), toLeaf: range.toLeaf },
            ...{ fromOffset: String(from), toOffset: String(kafkaEnd) },
            detail: 'Kafka has them: ingest takes them when it starts',
          },
        ]
      : []
  if (start <= endOffset) {
    // Each leaf takes an offset or more.
    if (kafkaEnd - endOffset < promised - end) {
      const detail = `a note promises them, and Kafka ends at offset ${kafkaEnd}`
      return {
        missing: [{ ...range, state: 'lost', toOffset: null, detail }],
        next: { topicId, startOffset: endOffset },
      }
    }
    return { missing: inKafka(endOffset), next: null }
  }
  const lost: MissingRange = {
    ...{ ...range, state: 'lost', toOffset: String(start) },
    detail: `Kafka begins at offset ${start}`,
  }
  if (!isShort) return { missing: [lost, ...inKafka(start)], next: null }
  const rest = inKafka(start).map((each) => ({ ...each, fromLeaf: '0', toLeaf: null }))
  return { missing: [lost, ...rest], next: { topicId, startOffset: start } }
}
