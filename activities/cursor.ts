/** The cursor of a replay in one log, as it travels in the Kafka transaction: an offset and metadata. */
import {
  emptyFrontier,
  frontierFromBase64,
  frontierToBase64,
  MAX_TREE_SIZE,
  setBits,
} from '../src/domain/merkle.ts'
import type { Frontier, Offset } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { Cursor } from '../src/ports.ts'

export interface Position {
  /** First source offset that is not replayed yet. */
  readonly offset: Offset
  /** Produced so far. */
  readonly events: bigint
  /** Compact range over the leaves of what was produced. */
  readonly frontier: Frontier
  /** The replay has ended: nothing may be added. */
  readonly sealed: boolean
}

/** A range of one log, and the plan that it belongs to. */
export interface CursorOwner {
  readonly planHash: string
  readonly partition: number
  readonly from: Offset
  readonly to: Offset
}

export const startOf = (owner: CursorOwner): Position => ({
  offset: owner.from,
  events: 0n,
  frontier: emptyFrontier,
  sealed: false,
})

/** At most 2,900 characters at 2^63 events; Kafka takes 4,096. */
export const encodeCursor = (position: Position, planHash: string): Cursor => ({
  offset: position.offset,
  metadata: JSON.stringify({
    v: 1,
    plan: planHash,
    events: String(position.events),
    frontier: frontierToBase64(position.frontier),
    sealed: position.sealed,
  }),
})

/** Inverse of `encodeCursor`. Throws CURSOR_LOST when somebody else wrote to the cursor's group. */
export function decodeCursor(cursor: Cursor, owner: CursorOwner): Position {
  const found = parseMetadata(cursor.metadata)
  const lost = (why: string) =>
    new ServiceError('CURSOR_LOST', `the cursor of partition ${owner.partition} ${why}`)
  if (found === null) throw lost('holds metadata that no replay wrote')
  if (found.plan !== owner.planHash) throw lost('belongs to another plan')
  if (cursor.offset < owner.from || cursor.offset > owner.to)
    throw lost(`is at ${cursor.offset}, outside of its range`)
  return { offset: cursor.offset, events: found.events, frontier: found.frontier, sealed: found.sealed }
}

interface Metadata {
  readonly plan: string
  readonly events: bigint
  readonly frontier: Frontier
  readonly sealed: boolean
}

function parseMetadata(text: string): Metadata | null {
  try {
    const read: unknown = JSON.parse(text)
    if (typeof read !== 'object' || read === null) return null
    const { v, plan, events, frontier, sealed } = read as Record<string, unknown>
    if (v !== 1 || typeof plan !== 'string' || typeof frontier !== 'string') return null
    if (typeof events !== 'string' || !/^\d{1,19}$/.test(events) || typeof sealed !== 'boolean') return null
    const hashes = frontierFromBase64(frontier)
    const count = BigInt(events)
    if (count > MAX_TREE_SIZE || hashes.length !== setBits(count)) return null
    return { plan, events: count, frontier: hashes, sealed }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null
    throw error
  }
}
