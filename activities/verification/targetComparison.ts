/** Holds the records of a target partition against the planned events, in their order, one after another. */
import { appendLeaves } from '../../src/domain/merkle.ts'
import { type Hash, leafIndex, type SourceRecords } from '../../src/domain/model.ts'
import { addFindings, type Finding, type FindingKind } from '../../src/domain/verification/finding.ts'
import { MAX_PASSED_OVER, type TargetProgress } from '../../src/domain/verification/targetProgress.ts'
import type { Expected, PlannedEvents } from './plannedEvents.ts'
import { differenceOf, leafOfRecord, type Origin } from './producedRecord.ts'

interface Placed {
  readonly expected: Expected | null
  /** Its turn has come. */
  readonly isNext: boolean
}

export class TargetComparison {
  readonly #events: PlannedEvents
  readonly #originOf: (records: SourceRecords, index: number) => Origin
  readonly #passedOver: Set<bigint>
  #progress: TargetProgress
  #found: Finding[] = []
  #leaves: Hash[] = []
  #counts = { matched: 0n, foreign: 0n, forgotten: 0n }
  #firstForeign: bigint | null

  constructor(
    progress: TargetProgress,
    events: PlannedEvents,
    originOf: (records: SourceRecords, index: number) => Origin,
  ) {
    this.#progress = progress
    this.#events = events
    this.#originOf = originOf
    this.#passedOver = new Set(progress.passedOver)
    this.#firstForeign = progress.firstForeign
  }

  /** Takes the records that were read up to `target`; returns how far all has come. */
  async take(batches: readonly SourceRecords[], target: bigint): Promise<TargetProgress> {
    for (const records of batches)
      for (let index = 0; index < records.count; index++) await this.#takeRecord(records, index)
    return await this.#settle(target)
  }

  async #takeRecord(records: SourceRecords, index: number): Promise<void> {
    const origin = this.#originOf(records, index)
    const target = records.offsets[index] as bigint
    if (origin.kind === 'foreign') {
      this.#counts.foreign++
      this.#firstForeign ??= target
      return
    }
    if (origin.kind === 'misnamed') {
      this.#find('inserted', null, target, 'the record names this replay, but no event of its log')
      return
    }
    const { source } = origin
    const turn = await this.#events.offset()
    const inTurn = turn === source
    const { expected, isNext } = inTurn
      ? { expected: this.#events.current(), isNext: true }
      : await this.#outOfTurn(source, turn, target)
    const difference = expected === null ? null : differenceOf(records, index, expected)
    // As it is on the target: only where nothing was altered, the log's own leaf says the same.
    this.#leaves.push(
      expected !== null && difference === null ? expected.leaf : leafOfRecord(records, index, source),
    )
    if (difference !== null)
      this.#find('altered-bytes', source, target, 'the record is not as the event was logged', difference)
    else if (isNext) this.#counts.matched++
    if (isNext) this.#events.advance()
  }

  /** What a record is that is not of the event whose turn it is; the event, and whether others were left out before it. */
  async #outOfTurn(source: bigint, turn: bigint | null, target: bigint): Promise<Placed> {
    const expected = await this.#events.at(source)
    if (expected === null) {
      this.#find('inserted', source, target, 'the record names an event that was not planned')
      return { expected: null, isNext: false }
    }
    if (turn !== null && source > turn) {
      for (
        let next: bigint | null = turn;
        next !== null && next < source;
        next = await this.#events.offset()
      ) {
        this.#passOver(next)
        this.#events.advance()
      }
      // Its turn has come.
      await this.#events.offset()
      return { expected, isNext: true }
    }
    if (this.#passedOver.delete(source))
      this.#find('reordered', source, target, 'the record comes after events that were logged behind it')
    else this.#find('doubled', source, target, 'the record was produced before')
    return { expected, isNext: false }
  }

  #passOver(source: bigint): void {
    if (this.#passedOver.size < MAX_PASSED_OVER) this.#passedOver.add(source)
    else this.#counts.forgotten++
  }

  #find(kind: FindingKind, source: bigint | null, target: bigint, detail: string, column?: string): void {
    this.#found.push({
      kind,
      leafIndex: null,
      offset: source === null ? null : String(source),
      targetOffset: String(target),
      count: '1',
      ...(column !== undefined && { column }),
      detail,
    })
  }

  async #settle(target: bigint): Promise<TargetProgress> {
    const before = this.#progress
    const { matched, foreign, forgotten } = this.#counts
    const turn = await this.#events.offset()
    const { frontier } = appendLeaves(
      { size: leafIndex(before.produced), frontier: before.frontier },
      this.#leaves,
    )
    this.#progress = {
      ...before,
      target,
      source: turn ?? this.#events.below,
      passedOver: [...this.#passedOver],
      forgotten: before.forgotten + forgotten,
      produced: before.produced + BigInt(this.#leaves.length),
      matched: before.matched + matched,
      foreign: before.foreign + foreign,
      firstForeign: this.#firstForeign,
      frontier,
      findings: addFindings(before.findings, this.#found),
    }
    this.#found = []
    this.#leaves = []
    this.#counts = { matched: 0n, foreign: 0n, forgotten: 0n }
    return this.#progress
  }

  /** At the end of the target: what was planned and is not there. */
  async missing(): Promise<{ readonly first: bigint | null; readonly count: bigint }> {
    let count = this.#progress.forgotten + BigInt(this.#passedOver.size)
    let first = [...this.#passedOver].reduce<bigint | null>(
      (lowest, source) => (lowest === null || source < lowest ? source : lowest),
      null,
    )
    for (let turn = await this.#events.offset(); turn !== null; turn = await this.#events.offset()) {
      first ??= turn
      count++
      this.#events.advance()
    }
    return { first, count }
  }
}
