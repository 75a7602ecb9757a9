/** One log of a recovery: verified and written in the same pass, inside a transaction that commits only what is whole. */
import type { ArchivedCheckpoint } from '../domain/archive/checkpointLine.ts'
import type { RecoveredLogView } from '../domain/archive/recoveryView.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import { emptyFrontier } from '../domain/merkle.ts'
import { type Frontier, type LeafIndex, type LogId, leafIndex, offset } from '../domain/model.ts'
import type { RecoveryWriter, RestoredNode, RestoredRow } from '../ports.ts'
import type { LogChain } from './chain.ts'
import { type ChainPage, type ChainReader, chainCheckpoints } from './chainLeaves.ts'
import type { Judge } from './codes.ts'
import { endOf } from './leafEnds.ts'
import type { HeldRoot } from './notesHeld.ts'
import { type ProofInput, type ProvenLog, proveLog } from './proveLog.ts'

export interface LogRecovery extends ProofInput {
  readonly writer: RecoveryWriter
  readonly say: (line: string) => void
  /** Ms since the epoch. */
  readonly now: () => number
}

const MS_PER_DAY = 86_400_000
/** Some MB with their notes. */
const CHECKPOINTS_AT_ONCE = 5_000

/** Null for a log that only notes know and that is not to be opened. Throws as `proveLog`, and DATABASE_UNAVAILABLE. */
export async function recoverLog(
  input: LogRecovery,
  chain: LogChain,
  held: readonly HeldRoot[],
): Promise<RecoveredLogView | null> {
  const noted = chain.parts.length > 0 ? null : await proveLog(input, chain, held, async () => undefined)
  if (noted !== null && !isToOpen(noted, input.chains)) return null
  const { writer } = input
  const { topic, partition, topicId, incarnation, leaderEpoch, createdAt } = chain.newest
  const identity = { topic, partition, topicId }
  const startOffset = offset(BigInt(chain.newest.startOffset))
  const id = await writer.openLog({ identity, incarnation, startOffset, leaderEpoch, createdMs: createdAt })
  const rows = new LogRows(writer, input.judge, id)
  const proof =
    noted ??
    (await proveLog(input, chain, held, async (page) => {
      await rows.take(page)
      input.say(`${topic}/${partition}: ${page.size} of ${chain.end} leaves`)
    }))
  const { tail } = proof
  await rows.close(tail.nextOffset, leaderEpoch)
  await restoreCheckpoints(input, writer, id, chain)
  if (tail.next !== null)
    await writer.openLog({
      identity: { ...identity, topicId: tail.next.topicId },
      ...{ incarnation: incarnation + 1, startOffset: offset(tail.next.startOffset), leaderEpoch: -1 },
      createdMs: input.now(),
    })
  return viewOf(proof, rows.counts)
}

/**
 * A log that only notes know is opened where ingest would come back to it, or would go on in one before it. Elsewhere ingest
 * begins under another origin, and nothing is contradicted.
 */
const isToOpen = ({ chain: { newest: log }, tail }: ProvenLog, chains: readonly LogChain[]): boolean =>
  tail.isThere ||
  chains.some(
    ({ newest: other }) =>
      other.topic === log.topic && other.partition === log.partition && other.incarnation < log.incarnation,
  )

interface Counts {
  events: number
  deadLetters: number
  gaps: number
  reclassified: number
  /** Events that the keys and policies that are restored would refuse. */
  wouldRefuse: number
}

interface Written {
  readonly size: LeafIndex
  readonly frontier: Frontier
  readonly bytes: bigint
  readonly lastIngestedMs: number | null
}

/** Leaves of a log on their way into the database. */
class LogRows {
  readonly #writer: RecoveryWriter
  readonly #judge: Judge
  readonly #id: LogId
  readonly counts: Counts = { events: 0, deadLetters: 0, gaps: 0, reclassified: 0, wouldRefuse: 0 }
  #last: Written = { size: leafIndex(0n), frontier: emptyFrontier, bytes: 0n, lastIngestedMs: null }

  constructor(writer: RecoveryWriter, judge: Judge, id: LogId) {
    this.#writer = writer
    this.#judge = judge
    this.#id = id
  }

  async take(page: ChainPage): Promise<void> {
    const rows = page.records.map((record): RestoredRow => {
      const judged = this.#judge.judge(record)
      if (judged?.isDoubted === true) this.counts.wouldRefuse++
      return { record, decoded: judged?.decoded ?? null }
    })
    const { nodes, bytes } = placeNodes(page, this.#last.bytes)
    await this.#writer.makeDays(daysOf(rows))
    await this.#writer.appendRows(this.#id, rows, nodes)
    const repeats = page.records.map((record) => this.#judge.repeatOf(record))
    await this.#writer.appendRepeats(
      this.#id,
      repeats.filter((repeat) => repeat !== null),
    )
    for (const row of rows) count(row, this.counts)
    this.#last = {
      ...{ size: leafIndex(page.size), frontier: page.frontier, bytes },
      lastIngestedMs: page.records.at(-1)?.ingestedAt ?? this.#last.lastIngestedMs,
    }
  }

  close(nextOffset: bigint, leaderEpoch: number): Promise<void> {
    return this.#writer.closeLog(this.#id, { ...this.#last, nextOffset: offset(nextOffset) }, leaderEpoch)
  }
}

/** UTC days of the events, ms since the epoch each. */
function daysOf(rows: readonly RestoredRow[]): ReadonlySet<number> {
  const days = new Set<number>()
  for (const { record, decoded } of rows)
    if (decoded?.kind === 'event') days.add(Math.floor((record.ingestedAt ?? 0) / MS_PER_DAY) * MS_PER_DAY)
  return days
}

function count({ record: { content, deadLetter }, decoded }: RestoredRow, counts: Counts): void {
  if (content.kind === 'gap') counts.gaps++
  else if (decoded?.kind === 'event') counts.events++
  else counts.deadLetters++
  if (deadLetter === undefined && decoded?.kind === 'rejected') counts.reclassified++
}

/** What ingest counts: key, headers and value of a record, the bytes of a batch. */
function bytesOf({ content }: ReadRecord): number {
  if (content.kind === 'gap') return 0
  if (content.kind === 'batch') return content.bytes.length
  return (content.key?.length ?? 0) + content.headers.length + (content.value?.length ?? 0)
}

/** Each node with what is known of its last leaf. */
function placeNodes(
  { records, from, nodes }: ChainPage,
  before: bigint,
): { readonly nodes: readonly RestoredNode[]; readonly bytes: bigint } {
  const placed: RestoredNode[] = []
  let bytes = before
  let next = 0
  for (const [index, record] of records.entries()) {
    bytes += BigInt(bytesOf(record))
    for (let node = nodes[next]; node !== undefined; node = nodes[++next]) {
      if (((node.index + 1n) << BigInt(node.level)) - 1n !== from + BigInt(index)) break
      placed.push({ ...node, bytes, endOffset: endOf(record.content), ingestedMs: record.ingestedAt ?? 0 })
    }
  }
  return { nodes: placed, bytes }
}

/** What they say was held against the leaves before. */
async function restoreCheckpoints(
  reader: ChainReader,
  writer: RecoveryWriter,
  id: LogId,
  chain: LogChain,
): Promise<void> {
  let some: ArchivedCheckpoint[] = []
  for await (const checkpoint of chainCheckpoints(reader, chain)) {
    some.push(checkpoint)
    if (some.length < CHECKPOINTS_AT_ONCE) continue
    await writer.restoreCheckpoints(id, some)
    some = []
  }
  await writer.restoreCheckpoints(id, some)
}

const elsewhere = (held: readonly HeldRoot[]): readonly HeldRoot[] =>
  held.filter(({ isArchived }) => !isArchived)

function viewOf(proof: ProvenLog, counts: Counts): RecoveredLogView {
  const { chain, matched, larger, root, tail } = proof
  const { topic, partition, incarnation } = chain.newest
  const proven = elsewhere(matched).at(-1)
  return {
    ...{ origin: chain.origin, topic, partition, incarnation, leaves: String(chain.end) },
    events: String(counts.events),
    deadLetters: String(counts.deadLetters),
    gaps: String(counts.gaps),
    reclassified: String(counts.reclassified),
    codesByWord: String(proof.codesByWord),
    signatureDoubts: { wouldLetIn: proof.wouldLetIn, wouldRefuse: counts.wouldRefuse },
    ...{ nextOffset: String(tail.nextOffset), unprovenOffsets: String(tail.unproven), rootHash: root },
    signedTo: proof.signedTo === null ? null : String(proof.signedTo),
    provenTo: proven === undefined ? null : String(proven.size),
    notes: { matched: elsewhere(matched).length, larger: elsewhere(larger).length },
    missing: tail.missing,
    ...(tail.next !== null && {
      followedBy: { incarnation: incarnation + 1, startOffset: String(tail.next.startOffset) },
    }),
  }
}
