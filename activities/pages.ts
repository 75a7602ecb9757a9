/** The pages of one log in order, each checked against its leaves; the next one is read while one is sent. */
import { recordLeaf } from '../src/domain/leaf.ts'
import type { Offset } from '../src/domain/model.ts'
import type { EventFilters } from '../src/domain/replay.ts'
import { ServiceError } from '../src/errors.ts'
import type { EventLogReader, EventPage } from '../src/ports.ts'
import type { PlannedLogWork } from './lane.ts'

/** A filter may leave out nearly everything: then more positions fit a page. */
const FILTERED_SCAN_FACTOR = 10

export interface PageBounds {
  readonly maxEvents: number
  readonly maxBytes: number
}

/** Returns a function that gives the page at `from`, the one after it, and so on; not beyond the end of the range. */
export function pageReader(
  log: EventLogReader,
  work: PlannedLogWork,
  from: Offset,
  bounds: PageBounds,
): () => Promise<EventPage> {
  const { filters } = work.plan
  const maxScanned = isFiltered(filters) ? bounds.maxEvents * FILTERED_SCAN_FACTOR : bounds.maxEvents
  const { logId, to } = work.log
  const read = (at: Offset): Promise<EventPage> => {
    const page = log.readPage({ logId, from: at, to, filters, maxScanned, maxBytes: bounds.maxBytes })
    // It is awaited by the next call, or by nobody when the slice ends: then its failure matters to nobody either.
    page.catch(() => undefined)
    return page
  }
  let ahead = read(from)
  return async () => {
    const page = await ahead
    if (page.next < to) ahead = read(page.next)
    checkLeaves(page, work)
    return page
  }
}

function isFiltered({ eventTypes, sources, tenantIds }: EventFilters): boolean {
  return [eventTypes, sources, tenantIds].some((list) => list !== undefined && list.length > 0)
}

/** Recomputes each leaf from the stored bytes. Throws LOG_DAMAGED. */
function checkLeaves({ records, leaves }: EventPage, { plan, log }: PlannedLogWork): void {
  for (let index = 0; index < records.count; index++) {
    if (recordLeaf(records, index) === leaves[index]) continue
    const place = `${plan.topic}, partition ${log.partition}, offset ${records.offsets[index]}`
    throw new ServiceError('LOG_DAMAGED', `the event at ${place} does not match its leaf hash`)
  }
}
