/** The rows of a log from its three tables, in one order, derived again from their bytes as they are read. */
import type { LogId } from '../../src/domain/model.ts'
import {
  addDeadLetter,
  addEvent,
  addGap,
  type ClaimedRepeat,
  markUnfounded,
  type RecordVerdict,
} from '../../src/domain/verification/deriveRow.ts'
import type { ReadPosition } from '../../src/domain/verification/progress.ts'
import { RowSheet } from '../../src/domain/verification/rowSheet.ts'
import type { LogAudit, TimeSpan } from '../../src/ports.ts'

/** Some 80 ms of work. Rows are read in place: a page holds hashes and positions, no bytes. */
const PAGE_EVENTS = 8_192
/** Dead letters and gaps come as objects, dead letters whole. */
const PAGE_OTHERS = 500
const PAGE_DEAD_LETTER_BYTES = 4 * 1024 * 1024
const LOWEST = -(2n ** 63n)

/** One table's rows that wait for their turn. */
interface Stream {
  readonly sheet: RowSheet
  /** Row of the sheet whose turn it is. */
  at: number
  ended: boolean
  /** Reads more into the empty sheet; ends when there is no more. */
  readonly read: () => Promise<void>
}

export interface LogRows {
  /** Adds the rows that come next to `sheet`; false when there are no more. */
  readMore(sheet: RowSheet): Promise<boolean>
  /** What `RowSheet.spans` stands for. */
  spanName(span: number): string
}

/** From `position` on, below the offset `below`. */
export async function openLogRows(
  audit: LogAudit,
  verdict: RecordVerdict,
  logId: LogId,
  position: ReadPosition,
  below: bigint,
): Promise<LogRows> {
  const all = await audit.spans(logId)
  const { span } = position
  // Instants in this form sort as texts, `-infinity` first. A span may be gone, when its partition was detached.
  const spans = span === null ? all : all.filter(({ from }) => from >= span)
  const start = spans[0]?.from === span ? position.event : LOWEST
  const events = eventStream(audit, verdict, logId, spans, start, below)
  const deadLetters = deadLetterStream(audit, verdict, logId, position.deadLetter, below)
  const gaps = gapStream(audit, logId, position.gap, below)
  const streams = [events, deadLetters, gaps]
  return {
    spanName: (span) => spans[span]?.from ?? '-infinity',
    async readMore(sheet) {
      for (const stream of streams) if (isEmpty(stream) && !stream.ended) await refill(stream)
      if (streams.every(isEmpty)) return false
      merge(streams, sheet)
      return true
    },
  }
}

const isEmpty = ({ sheet, at }: Stream): boolean => at === sheet.count

async function refill(stream: Stream): Promise<void> {
  stream.sheet.clear()
  stream.at = 0
  while (stream.sheet.count === 0 && !stream.ended) await stream.read()
}

/** Takes the lowest offset, until one stream that has not ended must be read on. */
function merge(streams: readonly Stream[], sheet: RowSheet): void {
  for (;;) {
    let lowest: Stream | null = null
    let offset = 0n
    for (const stream of streams) {
      if (isEmpty(stream)) {
        if (!stream.ended) return
        continue
      }
      const candidate = stream.sheet.offsets[stream.at] as bigint
      if (lowest === null || candidate < offset) {
        lowest = stream
        offset = candidate
      }
    }
    if (lowest === null) return
    sheet.take(lowest.sheet, lowest.at++)
  }
}

function eventStream(
  audit: LogAudit,
  verdict: RecordVerdict,
  logId: LogId,
  spans: readonly TimeSpan[],
  start: bigint,
  below: bigint,
): Stream {
  const sheet = new RowSheet(PAGE_EVENTS)
  let span = 0
  let from = start
  const stream: Stream = {
    sheet,
    at: 0,
    ended: spans.length === 0,
    async read() {
      const current = spans[span] as TimeSpan
      const request = { logId, span: current, from, below, maxRows: PAGE_EVENTS }
      const rows = await audit.readEvents(request, (row) => addEvent(sheet, row, span, verdict))
      if (rows < PAGE_EVENTS) {
        span++
        from = LOWEST
        stream.ended = span === spans.length
      } else from = (sheet.offsets[sheet.count - 1] as bigint) + 1n
    },
  }
  return stream
}

function deadLetterStream(
  audit: LogAudit,
  verdict: RecordVerdict,
  logId: LogId,
  start: bigint,
  below: bigint,
): Stream {
  const sheet = new RowSheet(PAGE_OTHERS)
  let from = start
  const stream: Stream = {
    sheet,
    at: 0,
    ended: false,
    async read() {
      const request = { logId, from, below, maxRows: PAGE_OTHERS }
      const rows = await audit.readDeadLetters(request, PAGE_DEAD_LETTER_BYTES)
      const repeats: ClaimedRepeat[] = []
      for (const row of rows) addDeadLetter(sheet, row, verdict, repeats)
      if (repeats.length > 0) {
        const ids = repeats.map(({ id }) => id)
        const earlier = await audit.eventsWithIds(logId, ids)
        markUnfounded(sheet, repeats, earlier, await audit.firstGone(logId))
      }
      const last = rows.at(-1)
      if (last === undefined) stream.ended = true
      else from = last.offset + 1n
    },
  }
  return stream
}

function gapStream(audit: LogAudit, logId: LogId, start: bigint, below: bigint): Stream {
  const sheet = new RowSheet(PAGE_OTHERS)
  let from = start
  const stream: Stream = {
    sheet,
    at: 0,
    ended: false,
    async read() {
      const rows = await audit.readGaps({ logId, from, below, maxRows: PAGE_OTHERS })
      for (const row of rows) addGap(sheet, row)
      const last = rows.at(-1)
      if (rows.length < PAGE_OTHERS || last === undefined) stream.ended = true
      else from = last.from + 1n
    },
  }
  return stream
}
