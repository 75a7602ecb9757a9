import { hashFromBytes } from '../../src/domain/hash.ts'
import { readHeaders } from '../../src/domain/headers.ts'
import { appendLeaves, emptyFrontier, encodeFrontier, rootOf } from '../../src/domain/merkle.ts'
import { type Frontier, type Hash, type LeafIndex, leafIndex } from '../../src/domain/model.ts'
import { bytesIn, leafOf, wrongColumns } from './derive.ts'
import { digestRecord, type RecordDigest } from './digest.ts'
import type { DeadLetterRow, EventRow, GapRow, LogRow, NodeRow, StoredLog } from './logRows.ts'
import type { RecordTable } from './table.ts'

/** What a log that has taken everything holds. */
export interface LogExpectation {
  readonly table: RecordTable
  /** Where the log must begin; records below were gone before it was opened. */
  readonly start: number
  /** Where it must go on. */
  readonly end: number
  /** Offsets that Kafka no longer had when ingest came for them. */
  readonly gaps: readonly OffsetRange[]
}

export interface OffsetRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

export interface LogFindings {
  readonly rows: number
  /** Source records without a row. */
  readonly lost: number
  /** Rows of a source record that has one already, and of none at all. */
  readonly doubled: number
  /** Rows whose leaf does not come after the leaves of all rows with smaller offsets. */
  readonly reordered: number
  /** Rows that say something else than the source, or than follows from their own bytes; nodes and frontiers likewise. */
  readonly altered: number
  /** Whatever else is wrong, in words. */
  readonly problems: readonly string[]
  /** The first few findings in words. */
  readonly examples: readonly string[]
  readonly deadLetters: ReadonlyMap<string, number>
  readonly gaps: number
  /** Over the leaves of the events alone, as a replay of the whole log must have it in its receipt. */
  readonly events: { readonly count: number; readonly root: Hash }
  /** Over all leaves. */
  readonly root: Hash
}

const mostExamples = 10
const leavesAtOnce = 1_024

/**
 * Holds the rows of one log against the source and against each other. Feed it all rows in offset order, then all nodes.
 */
export class LogAudit {
  readonly #expected: LogExpectation
  readonly #seen: Uint8Array
  readonly #tree = new Tree()
  readonly #events = new Tree()
  readonly #counts = { rows: 0, doubled: 0, reordered: 0, altered: 0, gaps: 0, bytes: 0 }
  readonly #deadLetters = new Map<string, number>()
  readonly #problems: string[] = []
  readonly #examples: string[] = []
  #lostCount: number | null = null
  #nextLeaf = 0n
  #jumps = 0
  #clockSteps = 0
  #lastIngestedMs = 0

  constructor(expected: LogExpectation) {
    this.#expected = expected
    this.#seen = new Uint8Array(expected.table.size)
  }

  add(row: LogRow): void {
    this.#counts.rows++
    this.#counts.bytes += bytesIn(row)
    this.#checkOrder(row)
    const stored = hashFromBytes(row.leafHash)
    const derived = leafOf(row)
    const wrong = this.#checkSource(row)
    // One wrong row must not make the tree wrong as well: of its leaf and its bytes the tree gets what is not changed.
    const leaf = wrong.length === 0 ? derived : stored
    this.#tree.add(leaf, endOf(row), this.#counts.bytes)
    if (row.kind === 'event') {
      this.#events.add(leaf, endOf(row), 0)
      wrong.push(...wrongColumns(row))
    }
    if (stored !== derived) wrong.push('leaf_hash')
    if (wrong.length === 0) return
    this.#counts.altered++
    this.#say(row, `differs in ${wrong.join(', ')}`)
  }

  /** Only of logs whose rows are all there and in order: a tree over other leaves has other nodes. */
  addNode(node: NodeRow): void {
    if (!this.#isWhole()) return
    const expected = this.#tree.takeNode(node.level, node.index)
    const equal =
      expected !== undefined &&
      node.hash.toString('latin1') === expected.hash &&
      node.endOffset === expected.endOffset &&
      // A changed row may have another length.
      (this.#counts.altered > 0 || node.bytes === BigInt(expected.bytes))
    if (equal) return
    this.#counts.altered++
    this.#note(`the node ${node.level}/${node.index} does not follow from the rows`)
  }

  findings(log: StoredLog): LogFindings {
    const { rows, doubled, reordered, gaps } = this.#counts
    const root = this.#tree.root()
    this.#checkLog(log)
    if (this.#jumps > 0) this.#problems.push(`${this.#jumps} leaf indexes are missing`)
    if (this.#clockSteps > 0) this.#problems.push(`the ingestion time goes back ${this.#clockSteps} times`)
    const lost = this.#lost()
    return {
      rows,
      lost,
      doubled,
      reordered,
      altered: this.#counts.altered,
      problems: this.#problems.map((problem) => `partition ${log.partition}: ${problem}`),
      examples: this.#examples.map((example) => `partition ${log.partition}: ${example}`),
      deadLetters: this.#deadLetters,
      gaps,
      events: { count: this.#events.size, root: this.#events.root() },
      root,
    }
  }

  #checkOrder(row: LogRow): void {
    if (row.leafIndex < this.#nextLeaf) {
      this.#counts.reordered++
      this.#say(row, `has leaf ${row.leafIndex} behind leaf ${this.#nextLeaf - 1n}`)
    } else {
      this.#jumps += Number(row.leafIndex - this.#nextLeaf)
      this.#nextLeaf = row.leafIndex + 1n
    }
    if (row.ingestedAtMs < this.#lastIngestedMs) this.#clockSteps++
    this.#lastIngestedMs = row.ingestedAtMs
  }

  /** What of the row is not as the source has it. */
  #checkSource(row: LogRow): string[] {
    if (row.kind === 'gap') {
      this.#checkGap(row)
      return []
    }
    if (row.kind === 'dead letter') {
      this.#deadLetters.set(row.code, (this.#deadLetters.get(row.code) ?? 0) + 1)
      if (row.code === 'UNDECODABLE_BATCH') return this.#checkBatch(row)
    }
    const at = this.#expected.table.find(Number(row.offset))
    if (!this.#take(row, at)) return []
    const wrong: string[] = this.#expected.table.differences(at, digestOf(row))
    const fate = this.#fateProblem(row, at)
    return fate === null ? wrong : [...wrong, fate]
  }

  /** One row for many records, which are there as one batch or not at all. */
  #checkBatch(row: DeadLetterRow): string[] {
    const { table } = this.#expected
    let found = 0
    let fate: string | null = null
    for (let at = table.firstFrom(Number(row.offset)); table.offsetAt(at) <= Number(row.lastOffset); at++) {
      if (at >= table.size) break
      found++
      if (this.#take(row, at)) fate ??= this.#fateProblem(row, at)
    }
    if (found === 0) this.#take(row, -1)
    return fate === null ? [] : [fate]
  }

  /** Marks the source record as accounted for; false when it was before, or when there is none. */
  #take(row: LogRow, at: number): boolean {
    if (at >= 0 && this.#seen[at] === 0) {
      this.#seen[at] = 1
      return true
    }
    this.#counts.doubled++
    this.#say(row, at < 0 ? 'is no record of the source' : 'is there twice')
    return false
  }

  #fateProblem(row: EventRow | DeadLetterRow, at: number): string | null {
    const expected = this.#expected.table.fateAt(at)
    const found = row.kind === 'event' ? 'accepted' : row.code
    if (found === expected || (expected === 'refused' && found !== 'accepted')) return null
    return `fate (${found} instead of ${expected})`
  }

  #checkGap(row: GapRow): void {
    this.#counts.gaps++
    const { gaps } = this.#expected
    if (gaps.some(({ from, to }) => BigInt(from) === row.offset && BigInt(to) === row.toOffset)) return
    this.#problems.push(`a gap from ${row.offset} to ${row.toOffset} that is none`)
  }

  #checkLog(log: StoredLog): void {
    const { start, end } = this.#expected
    const must = (what: string, found: bigint, expected: number): void => {
      if (found !== BigInt(expected)) this.#problems.push(`${what} is ${found} instead of ${expected}`)
    }
    must('start_offset', log.startOffset, start)
    must('next_offset', log.nextOffset, end)
    must('size', log.size, this.#counts.rows)
    must('bytes', log.bytes, this.#counts.bytes)
    if (this.#counts.gaps !== this.#expected.gaps.length)
      this.#problems.push(`${this.#counts.gaps} gaps instead of ${this.#expected.gaps.length}`)
    if (!this.#isWhole()) return
    if (!encodeFrontier(this.#tree.frontier()).equals(log.frontier)) {
      this.#counts.altered++
      this.#note('the frontier does not follow from the rows')
    }
    const missing = this.#tree.nodesLeft
    this.#counts.altered += missing
    if (missing > 0) this.#note(`${missing} nodes are missing`)
  }

  #isWhole(): boolean {
    const { reordered, doubled } = this.#counts
    return this.#jumps === 0 && reordered === 0 && doubled === 0 && this.#lost() === 0
  }

  /** Once all rows are there. */
  #lost(): number {
    this.#lostCount ??= this.#countLost()
    return this.#lostCount
  }

  #countLost(): number {
    const { table, start, gaps } = this.#expected
    let lost = 0
    for (let at = 0; at < table.size; at++) {
      const offset = table.offsetAt(at)
      if (this.#seen[at] === 1 || offset < start) continue
      if (gaps.some(({ from, to }) => offset >= from && offset < to)) continue
      lost++
      this.#note(`offset ${offset} is lost`)
    }
    return lost
  }

  #say(row: LogRow, what: string): void {
    this.#note(`the ${row.kind} at offset ${row.offset} ${what}`)
  }

  #note(finding: string): void {
    if (this.#examples.length < mostExamples) this.#examples.push(finding)
  }
}

/** First source offset behind a row. */
function endOf(row: LogRow): bigint {
  if (row.kind === 'gap') return row.toOffset
  return (row.kind === 'dead letter' ? row.lastOffset : row.offset) + 1n
}

const digestOf = (row: EventRow | DeadLetterRow): RecordDigest =>
  digestRecord({
    key: row.key,
    value: row.value,
    headers: readHeaders(row.headers).map(({ key, value }) => [key, value] as const),
    timestamp: row.kafkaTimestamp,
  })

interface Node {
  readonly hash: Hash
  readonly endOffset: bigint
  readonly bytes: number
}

/** A tree that is computed from its leaves alone; leaves are taken in by the thousand. */
class Tree {
  #position: { size: LeafIndex; frontier: Frontier } = { size: leafIndex(0n), frontier: emptyFrontier }
  #pending: Hash[] = []
  #ends: { endOffset: bigint; bytes: number }[] = []
  readonly #nodes = new Map<string, Node>()

  add(leaf: Hash, endOffset: bigint, bytes: number): void {
    this.#pending.push(leaf)
    this.#ends.push({ endOffset, bytes })
    if (this.#pending.length >= leavesAtOnce) this.#flush()
  }

  get size(): number {
    return Number(this.#position.size) + this.#pending.length
  }

  frontier(): Frontier {
    this.#flush()
    return this.#position.frontier
  }

  root(): Hash {
    return rootOf(this.frontier(), this.#position.size)
  }

  /** The node, which is not given out again. */
  takeNode(level: number, index: bigint): Node | undefined {
    this.#flush()
    const name = `${level}/${index}`
    const node = this.#nodes.get(name)
    this.#nodes.delete(name)
    return node
  }

  get nodesLeft(): number {
    this.#flush()
    return this.#nodes.size
  }

  #flush(): void {
    const before = Number(this.#position.size)
    const grown = appendLeaves(this.#position, this.#pending)
    for (const { level, index, hash } of grown.nodes) {
      const last = Number((index + 1n) << BigInt(level)) - 1 - before
      const end = this.#ends[last]
      if (end !== undefined) this.#nodes.set(`${level}/${index}`, { hash, ...end })
    }
    this.#position = { size: grown.size, frontier: grown.frontier }
    this.#pending = []
    this.#ends = []
  }
}
