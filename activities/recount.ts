/** Goes through a log as a replay does, without producing: what its cursor would say at an offset. */
import { appendLeaves } from '../src/domain/merkle.ts'
import { leafIndex, type Offset } from '../src/domain/model.ts'
import { type Position, startOf } from './cursor.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import type { PlannedLogWork } from './lane.ts'
import { pageReader } from './pages.ts'

export interface Recount {
  /** At `upTo`: events and frontier of all planned events below it. */
  readonly position: Position
  /** Source offset of the last planned event below `upTo`; null when there is none. */
  readonly last: Offset | null
}

/** Each leaf is computed again. Throws LOG_DAMAGED, DATABASE_UNAVAILABLE. */
export async function recount(
  deps: Pick<ActivityDependencies, 'log' | 'settings'>,
  scope: ActivityScope,
  work: PlannedLogWork,
  upTo: Offset,
): Promise<Recount> {
  const { pageEvents, pageBytes } = deps.settings
  let position = startOf(work.owner)
  let last: Offset | null = null
  if (position.offset >= upTo) return { position, last }
  const below = { ...work, log: { ...work.log, to: upTo } }
  const nextPage = pageReader(deps.log, below, position.offset, {
    maxEvents: pageEvents,
    maxBytes: pageBytes,
  })
  while (position.offset < upTo) {
    scope.signal.throwIfAborted()
    const { records, leaves, next } = await nextPage()
    const size = leafIndex(position.events)
    const { frontier } = appendLeaves({ size, frontier: position.frontier }, leaves)
    const events = position.events + BigInt(records.count)
    position = { offset: next, events, frontier, sealed: false }
    last = (records.offsets[records.count - 1] as Offset | undefined) ?? last
    scope.report({ recounting: work.log.partition, offset: String(next), of: String(upTo) })
  }
  return { position, last }
}
