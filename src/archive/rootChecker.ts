/** "At this size the log has this root": claims of checkpoints and notes, held against the leaves as they come. */
import { type ArchivedCheckpoint, parseCheckpointLine } from '../domain/archive/checkpointLine.ts'
import type { ManifestLog } from '../domain/archive/manifest.ts'
import { openCheckpoint } from '../domain/evidence/checkpointNote.ts'
import type { ReadRecord } from '../domain/evidence/exportedRecord.ts'
import type { VerifierKey } from '../domain/evidence/noteKeys.ts'
import { hashFromHex, hashToHex } from '../domain/hash.ts'
import { appendLeaves, emptyFrontier, rootOf } from '../domain/merkle.ts'
import { type Frontier, type Hash, leafIndex } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import { damaged } from './files.ts'
import { startOf } from './leafEnds.ts'

export interface ClaimedRoot {
  readonly size: bigint
  readonly root: Hash
  /** Whose claim it is. */
  readonly name: string
  /** Below it lie `size` leaves; a note does not say. */
  readonly offset?: bigint
}

/** Where the leaves begin that are to come. */
export interface CheckerStart {
  readonly size: bigint
  readonly frontier: Frontier
  /** A claim over `size` leaves is of no lower offset; null where nobody knows. */
  readonly offset: bigint | null
}

export interface NextLeaves {
  readonly records: readonly ReadRecord[]
  /** Behind the last one. */
  readonly size: bigint
  readonly frontier: Frontier
}

/** Claims below its start are none of its business. Throws ROOT_MISMATCH, and ARCHIVE_DAMAGED for an offset. */
export class RootChecker {
  readonly #origin: string
  readonly #claims: readonly ClaimedRoot[]
  #next = 0
  #before: { readonly size: bigint; readonly frontier: Frontier }
  #least: bigint | null
  /** Their leaves all came, and the one behind did not yet. */
  #waiting: ClaimedRoot[] = []

  constructor(origin: string, claims: readonly ClaimedRoot[], start: CheckerStart) {
    this.#origin = origin
    this.#claims = claims
      .filter(({ size }) => size >= start.size)
      .sort((a, b) => (a.size < b.size ? -1 : a.size > b.size ? 1 : 0))
    this.#before = start
    this.#least = start.offset
    this.#check(start.size, start.frontier, start.offset, undefined)
  }

  /** Claims that were arrived at; the others are larger than the log. */
  get matched(): readonly ClaimedRoot[] {
    return this.#claims.slice(0, this.#next)
  }

  take({ records, size, frontier }: NextLeaves): void {
    const [first] = records
    if (first === undefined) return
    for (const claim of this.#waiting) this.#checkOffset(claim, null, first)
    this.#waiting = []
    let position = { size: leafIndex(this.#before.size), frontier: this.#before.frontier }
    let at = 0
    for (let claim = this.#claims[this.#next]; claim !== undefined && claim.size <= size; ) {
      const end = at + Number(claim.size - position.size)
      position = appendLeaves(
        position,
        records.slice(at, end).map(({ leaf }) => leaf),
      )
      at = end
      const last = records[at - 1]
      const least = last === undefined ? this.#least : startOf(last.content) + 1n
      this.#check(claim.size, position.frontier, least, records[at])
      claim = this.#claims[this.#next]
    }
    this.#before = { size, frontier }
    for (const { content } of records.slice(-1)) this.#least = startOf(content) + 1n
  }

  #check(size: bigint, frontier: Frontier, least: bigint | null, next: ReadRecord | undefined): void {
    const root = rootOf(frontier, size)
    for (let claim = this.#claims[this.#next]; claim?.size === size; claim = this.#claims[this.#next]) {
      if (claim.root !== root)
        throw new ServiceError(
          'ROOT_MISMATCH',
          `${claim.name} says of ${this.#origin} another root at ${size} leaves than the archives give: ${hashToHex(root)}`,
        )
      this.#checkOffset(claim, least, next)
      if (next === undefined) this.#waiting.push(claim)
      this.#next++
    }
  }

  /** A gap or a batch that begins below the offset counts, so the offset may lie within. */
  #checkOffset(
    { name, size, offset }: ClaimedRoot,
    least: bigint | null,
    next: ReadRecord | undefined,
  ): void {
    if (offset === undefined) return
    if ((least === null || offset >= least) && (next === undefined || offset <= startOf(next.content))) return
    throw damaged(name, `says of ${this.#origin} that ${size} leaves lie below offset ${offset}`)
  }
}

/** The checkpoints in the lines of a file beside the leaves of a part, each with its line. Throws ARCHIVE_DAMAGED. */
export function* checkpointsIn(
  lines: readonly string[],
  path: string,
  { toLeaf }: Pick<ManifestLog, 'toLeaf'>,
): Generator<{ readonly checkpoint: ArchivedCheckpoint; readonly line: string }> {
  for (const line of lines) {
    const checkpoint = parseCheckpointLine(line)
    if (!checkpoint.ok) throw damaged(path, `has a bad line: ${checkpoint.detail}`)
    if (BigInt(checkpoint.value.position.size) > BigInt(toLeaf))
      throw damaged(path, 'has a checkpoint over more leaves than the archive')
    yield { checkpoint: checkpoint.value, line }
  }
}

/**
 * A checkpoint beside the leaves: its note, if it has one, must be signed by whom it should, and say what its row says. Throws
 * NOTE_REFUSED.
 */
export function claimOf(
  origin: string,
  { id, position: { offset, size, rootHash, note } }: ArchivedCheckpoint,
  keys: readonly VerifierKey[],
): ClaimedRoot {
  const claim = {
    ...{ size: BigInt(size), root: hashFromHex(rootHash), offset: BigInt(offset) },
    name: `the archived checkpoint ${id}`,
  }
  if (note === null) return claim
  const opened = openCheckpoint(note, { keys, origin })
  if (!opened.ok) throw new ServiceError('NOTE_REFUSED', `${claim.name}: ${opened.detail}`)
  if (opened.value.size !== claim.size || opened.value.root !== claim.root)
    throw new ServiceError('NOTE_REFUSED', `${claim.name}: its note says something else`)
  return claim
}

export const emptyStart = (startOffset: bigint): CheckerStart => ({
  ...{ size: 0n, frontier: emptyFrontier, offset: startOffset },
})
