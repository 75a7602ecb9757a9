/** The planned events of one log of a replay in order, as the log has them and as they must be on the target. */
import type { Hash, Offset, SourceRecords } from '../../src/domain/model.ts'
import { offset } from '../../src/domain/model.ts'
import type { EventLogReader, EventPage } from '../../src/ports.ts'
import type { PlannedLogWork } from '../lane.ts'
import { type PageBounds, pageReader } from '../pages.ts'
import { replayHeaders } from '../replayHeaders.ts'

export interface PlannedEvents {
  /** Source offset where they end. */
  readonly below: bigint
  /** Source offset of the event whose turn it is; null at the end. */
  offset(): Promise<bigint | null>
  /** What it must be like, good until `advance`. Call after `offset`. */
  current(): Expected
  advance(): void
  /** The event at a source offset, if it is planned, wherever the turn is. */
  at(source: bigint): Promise<Expected | null>
}

export interface Expected {
  readonly records: SourceRecords
  readonly index: number
  readonly headers: Buffer
  readonly leaf: Hash
}

interface Page {
  readonly page: EventPage
  readonly headersOf: (index: number) => Buffer
}

/** The events of [from, below); each leaf is computed again: throws LOG_DAMAGED, DATABASE_UNAVAILABLE. */
export function plannedEvents(
  log: EventLogReader,
  work: PlannedLogWork,
  from: bigint,
  below: Offset,
  bounds: PageBounds,
): PlannedEvents {
  const { plan } = work
  const withHeaders = replayHeaders({
    replayId: plan.replayId,
    topic: plan.topic,
    partition: work.log.partition,
  })
  const within = (start: Offset, end: Offset) => {
    const part: PlannedLogWork = { ...work, log: { ...work.log, to: end } }
    return pageReader(log, part, start, bounds)
  }
  const nextPage = from < below ? within(offset(from), below) : null
  let current: Page | null = null
  let index = 0
  let ended = nextPage === null
  const expected = ({ page, headersOf }: Page, at: number): Expected => ({
    records: page.records,
    index: at,
    headers: headersOf(at),
    leaf: page.leaves[at] as Hash,
  })
  return {
    below,
    async offset() {
      while (!ended && nextPage !== null && (current === null || index === current.page.records.count)) {
        if (current !== null && current.page.next >= below) {
          ended = true
          break
        }
        const page = await nextPage()
        current = { page, headersOf: withHeaders(page) }
        index = 0
      }
      return ended || current === null ? null : (current.page.records.offsets[index] as bigint)
    },
    current() {
      if (current === null) throw new RangeError('no event has its turn')
      return expected(current, index)
    },
    advance() {
      index++
    },
    async at(source) {
      if (source < work.log.from || source >= below) return null
      const page = await within(offset(source), offset(source + 1n))()
      return page.records.count === 0 ? null : expected({ page, headersOf: withHeaders(page) }, 0)
    },
  }
}
