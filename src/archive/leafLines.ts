/** The leaves of a part of a log as exported records, in order, from its three tables. */
import { type ExportedRecord, formatExportedRecord } from '../domain/evidence/exportedRecord.ts'
import { hashToHex } from '../domain/hash.ts'
import { type Hash, type LogId, type Offset, offset, type SourceRecords } from '../domain/model.ts'
import type { StoredDeadLetterRow } from '../domain/verification/deriveRow.ts'
import { ServiceError } from '../errors.ts'
import type { LeafRange, LogAudit, TimeSpan } from '../ports.ts'

export interface LeafLine {
  readonly leafIndex: bigint
  readonly offset: bigint
  /** First offset behind the leaf. */
  readonly end: bigint
  /** Without its newline. */
  readonly line: string
}

/** What one page of events should weigh; the first one finds out how large events are. */
const PAGE_BYTES = 4 * 1024 * 1024
const FIRST_PAGE_EVENTS = 16
const MAX_PAGE_EVENTS = 8_192
const PAGE_OTHERS = 500
const PAGE_DEAD_LETTER_BYTES = 4 * 1024 * 1024

/** One table's leaves that wait for their turn. */
interface Stream {
  leaves: LeafLine[]
  at: number
  ended: boolean
  /** The next leaves; none only at the end. */
  readonly read: () => Promise<LeafLine[]>
}

/**
 * Pages of leaves, each some megabytes at most (a single larger leaf excepted). Throws LOG_DAMAGED where a leaf is missing,
 * or its bytes no longer have the leaf that is stored with them.
 */
export async function* leafLines(
  audit: LogAudit,
  log: { readonly logId: LogId; readonly origin: string },
  range: LeafRange,
): AsyncGenerator<readonly LeafLine[]> {
  const { fromOffset, toOffset } = range
  const streams = [
    eventStream(audit, log, fromOffset, toOffset),
    otherStream(fromOffset, async (from) => {
      const request = { logId: log.logId, from, below: toOffset, maxRows: PAGE_OTHERS }
      const rows = await audit.readDeadLetters(request, PAGE_DEAD_LETTER_BYTES)
      return rows.map((row) => deadLetterLine(row, log.origin))
    }),
    otherStream(fromOffset, async (from) => {
      const rows = await audit.readGaps({ logId: log.logId, from, below: toOffset, maxRows: PAGE_OTHERS })
      return rows.map(({ from: first, to, leafIndex, leafHash, ingestedMs }) => {
        const content = { kind: 'gap', from: offset(first), to: offset(to) } as const
        return lineOf(
          { origin: log.origin, leafIndex, content, ingestedAt: ingestedMs },
          { leaf: leafHash, offset: first, end: to },
        )
      })
    }),
  ]
  let expected: bigint = range.fromLeaf
  for (;;) {
    for (const stream of streams) await refill(stream)
    const page = merge(streams)
    for (const { leafIndex, offset: at } of page) {
      if (leafIndex !== expected++)
        throw new ServiceError(
          'LOG_DAMAGED',
          `Leaf ${expected - 1n} is not in the log: behind it comes leaf ${leafIndex} at offset ${at}`,
        )
    }
    if (page.length > 0) yield page
    if (page.length === 0 && streams.every(isEmpty)) break
  }
  if (expected !== range.toLeaf)
    throw new ServiceError('LOG_DAMAGED', `The leaves from ${expected} to ${range.toLeaf} are not in the log`)
}

const isEmpty = ({ leaves, at }: Stream): boolean => at === leaves.length

async function refill(stream: Stream): Promise<void> {
  if (!isEmpty(stream) || stream.ended) return
  stream.leaves = await stream.read()
  stream.at = 0
  stream.ended = stream.leaves.length === 0
}

/** Takes the lowest offset, until one stream that has not ended must be read on. */
function merge(streams: readonly Stream[]): LeafLine[] {
  const page: LeafLine[] = []
  for (;;) {
    let lowest: Stream | null = null
    let first: LeafLine | null = null
    for (const stream of streams) {
      if (isEmpty(stream)) {
        if (!stream.ended) return page
        continue
      }
      const candidate = stream.leaves[stream.at] as LeafLine
      if (first === null || candidate.offset < first.offset) [lowest, first] = [stream, candidate]
    }
    if (lowest === null || first === null) return page
    page.push(first)
    lowest.at++
  }
}

function otherStream(start: Offset, page: (from: bigint) => Promise<LeafLine[]>): Stream {
  let from: bigint = start
  return {
    leaves: [],
    at: 0,
    ended: false,
    async read() {
      const leaves = await page(from)
      const last = leaves.at(-1)
      if (last !== undefined) from = last.offset + 1n
      return leaves
    },
  }
}

function eventStream(
  audit: LogAudit,
  { logId, origin }: { readonly logId: LogId; readonly origin: string },
  start: Offset,
  below: Offset,
): Stream {
  let spans: readonly TimeSpan[] | null = null
  let at = 0
  let from: bigint = start
  let maxRows = FIRST_PAGE_EVENTS
  return {
    leaves: [],
    at: 0,
    ended: false,
    async read() {
      spans ??= await audit.spans(logId)
      // Offsets go on from span to span, as ingestion times do.
      for (let span = spans[at]; span !== undefined; span = spans[at]) {
        const leaves: LeafLine[] = []
        let bytes = 0
        const rows = await audit.readEvents({ logId, span, from, below, maxRows }, (row) => {
          bytes += row.bytes
          leaves.push(
            lineOf(
              {
                origin,
                leafIndex: row.leafIndex,
                content: contentOf(row.records),
                ingestedAt: row.ingestedMs,
              },
              { leaf: row.leafHash, offset: row.offset, end: row.offset + 1n },
            ),
          )
        })
        if (rows < maxRows) at++
        maxRows = nextPage(maxRows, rows, bytes)
        from = (leaves.at(-1)?.offset ?? from - 1n) + 1n
        if (leaves.length > 0) return leaves
      }
      return []
    },
  }
}

const nextPage = (before: number, rows: number, bytes: number): number =>
  rows === 0
    ? before
    : Math.max(1, Math.min(MAX_PAGE_EVENTS, before * 8, Math.floor((PAGE_BYTES * rows) / Math.max(1, bytes))))

/** As they stand in a row's memory: good until the next row. */
function contentOf(records: SourceRecords) {
  const { bytes } = records
  const part = (starts: Int32Array, ends: Int32Array): Buffer | null => {
    const start = starts[0] as number
    return start < 0 ? null : bytes.subarray(start, ends[0])
  }
  return {
    kind: 'record',
    offset: offset(records.offsets[0] as bigint),
    timestamp: records.timestamps[0] as bigint,
    key: part(records.keyStarts, records.keyEnds),
    headers: part(records.headerStarts, records.headerEnds) ?? Buffer.alloc(0),
    value: part(records.valueStarts, records.valueEnds),
  } as const
}

function deadLetterLine(row: StoredDeadLetterRow, origin: string): LeafLine {
  const { code, detail, lastOffset, leafIndex, leafHash, ingestedMs } = row
  const record = contentOf(row.records)
  const asBatch = {
    kind: 'batch',
    firstOffset: record.offset,
    lastOffset: offset(lastOffset),
    timestamp: record.timestamp,
    bytes: record.value ?? Buffer.alloc(0),
  } as const
  const content = code === 'UNDECODABLE_BATCH' ? asBatch : record
  return lineOf(
    { origin, leafIndex, content, deadLetter: { code, detail }, ingestedAt: ingestedMs },
    { leaf: leafHash, offset: row.offset, end: lastOffset + 1n },
  )
}

function lineOf(
  record: ExportedRecord,
  place: { readonly leaf: Hash; readonly offset: bigint; readonly end: bigint },
): LeafLine {
  const line = formatExportedRecord(record)
  // The leaf in the line was computed from the bytes.
  if (!line.includes(`"leaf":"${hashToHex(place.leaf)}"`) || !Number.isSafeInteger(record.ingestedAt))
    throw new ServiceError('LOG_DAMAGED', `The row at offset ${place.offset} no longer has its leaf`)
  return { leafIndex: record.leafIndex, offset: place.offset, end: place.end, line }
}
