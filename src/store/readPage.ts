import type { Pool } from 'pg'
import { logId, type Offset, offset } from '../domain/model.ts'
import { ServiceError } from '../errors.ts'
import type { EventPage, EventPageRequest } from '../ports.ts'
import { CopyOut } from './copyOut.ts'
import { type Blocks, requireWhole } from './detached.ts'
import { smaller } from './int8.ts'
import { filterCondition, numberLiteral, timeLiteral } from './literals.ts'
import { PAGE_COLUMNS, PageBuilder } from './pageBuilder.ts'
import { BLOCK_LEAVES, type Mark, type Surroundings, surroundings } from './sparseIndex.ts'

/** Part of a log that one statement reads: offsets, and the ingestion times between which they all lie. */
export interface Window {
  readonly logId: number
  readonly from: Offset
  readonly to: Offset
  readonly earliestMs: number
  readonly latestMs: number
  /** No more leaves than this, and about this many bytes. */
  readonly maxLeaves: number
  readonly bytes: bigint
}

/** True for exactly the window's events; the bounds on time name the partitions. */
export const windowCondition = (window: Window): string =>
  `log_id = ${numberLiteral(window.logId)} and "offset" >= ${numberLiteral(window.from)} ` +
  `and "offset" < ${numberLiteral(window.to)} and ingested_at >= ${timeLiteral(window.earliestMs)} ` +
  `and ingested_at <= ${timeLiteral(window.latestMs)}`

/** What the next page of a log may cost. */
export type WindowRequest = Omit<EventPageRequest, 'filters'>

export interface NextWindow {
  readonly window: Window
  /** Events in it, where that is known. */
  readonly scanned: number | null
  /** The marks around it: between them each leaf is counted. */
  readonly around: { readonly before: Mark; readonly end: Mark }
}

/**
 * The next events of a log in offset order. The sparse index says beforehand where a page ends, so that no page costs
 * more than another, wherever in the log, however rare what the filters want. A page never scans more than `maxScanned`
 * positions or, but for a single larger event, returns more than `maxBytes`. Throws OFFSET_NOT_INGESTED when `to` lies
 * beyond the log's head, DETACHED when events of the page went away with a day, and LOG_DAMAGED when others lack.
 */
export async function readPage(pool: Pool, request: EventPageRequest): Promise<EventPage> {
  const filter = filterCondition(request.filters)
  const next = await nextWindow(pool, request)
  if (next === null) return { ...new PageBuilder(0, 0).page(), next: request.to, scanned: 0 }
  const { window, scanned } = next
  const builder = new PageBuilder(window.maxLeaves, estimate(window, filter))
  await copyOut(pool, pageText(window, filter), builder)
  const events = filter === null ? builder.count : (scanned ?? (await countEvents(pool, window)))
  // Behind the look at the rows: a day that is detached between the two shows.
  await requireLeaves(pool, next, events)
  return { ...builder.page(), next: window.to, scanned: events }
}

/** What lies between two marks. */
export const blocksBetween = (before: Mark, end: Mark): Blocks => ({
  ...{ fromLeaf: before.leaves, toLeaf: end.leaves },
  ...{ fromOffset: before.offset, toOffset: end.offset },
})

/** A page that lacks rows is none: what it lacks would be left out without a word. */
async function requireLeaves(pool: Pool, { window, around }: NextWindow, events: number): Promise<void> {
  const { before, end } = around
  const isWhole = window.from <= before.offset && window.to === end.offset
  if (isWhole && events === window.maxLeaves) return
  const blocks: Window = isWhole ? window : { ...window, from: before.offset, to: end.offset }
  const rows = BigInt(isWhole ? events : await countEvents(pool, blocks)) + (await countOthers(pool, blocks))
  await requireWhole(pool, logId(window.logId), blocksBetween(before, end), window, rows)
}

/** The part of [from, to) that comes next and keeps to the bounds; null when the range holds nothing more. */
export async function nextWindow(pool: Pool, request: WindowRequest): Promise<NextWindow | null> {
  checkBounds(request)
  const blocks = Math.max(1, Math.floor(request.maxScanned / BLOCK_LEAVES))
  const around = await surroundings(pool, request.logId, request.from, blocks)
  if (request.to > around.head.offset)
    throw new ServiceError(
      'OFFSET_NOT_INGESTED',
      `Log ${request.logId} has taken the offsets below ${around.head.offset}, not yet ${request.to}`,
    )
  const found = windowOf(request, around)
  if (found === null) return null
  const { window } = found
  const fits = window.bytes <= BigInt(request.maxBytes) && window.maxLeaves <= request.maxScanned
  return fits ? found : { ...found, ...(await cut(pool, window, request)) }
}

function checkBounds({ from, to, maxScanned, maxBytes }: WindowRequest): void {
  if (from < 0n || to < from) throw new RangeError(`[${from}, ${to}) is no range`)
  if (!Number.isSafeInteger(maxScanned) || maxScanned < 1)
    throw new RangeError('maxScanned must be at least 1')
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) throw new RangeError('maxBytes must be at least 1')
}

/** As many whole blocks as the bounds admit, at least one; null when nothing follows. */
function windowOf(request: WindowRequest, { before, after }: Surroundings): NextWindow | null {
  if (request.from >= request.to) return null
  let end: Mark | undefined
  for (const mark of after) {
    const tooMuch = mark.bytes - before.bytes > BigInt(request.maxBytes)
    if (end !== undefined && tooMuch) break
    end = mark
    if (mark.offset >= request.to) break
  }
  if (end === undefined) return null
  const window = {
    logId: request.logId,
    from: request.from,
    to: smaller(end.offset, request.to),
    earliestMs: before.ingestedMs,
    latestMs: end.ingestedMs,
    maxLeaves: Number(end.leaves - before.leaves),
    bytes: end.bytes - before.bytes,
  }
  return { window, scanned: null, around: { before, end } }
}

/** A part of a single block that the bounds admit: at least one event, however large. */
async function cut(
  pool: Pool,
  window: Window,
  request: WindowRequest,
): Promise<Pick<NextWindow, 'window' | 'scanned'>> {
  const { rows } = await pool.query<{ offset: string; bytes: number }>(
    `select "offset", coalesce(octet_length(key), 0) + octet_length(headers) + octet_length(value) as bytes
       from public.events where ${windowCondition(window)} order by "offset" limit $1`,
    [request.maxScanned + 1],
  )
  let scanned = 0
  let bytes = 0
  for (const row of rows) {
    if (scanned > 0 && (scanned === request.maxScanned || bytes + row.bytes > request.maxBytes))
      return { window: { ...window, to: offset(BigInt(row.offset)), bytes: BigInt(bytes) }, scanned }
    scanned++
    bytes += row.bytes
  }
  return { window: { ...window, bytes: BigInt(bytes) }, scanned }
}

/** Bytes to set aside; with a filter there may be far fewer, and the builder grows. */
function estimate(window: Window, filter: string | null): number {
  const whole = Number(window.bytes) + 12 * window.maxLeaves
  return filter === null ? whole : Math.min(whole, 65_536)
}

/** Exported for the test that looks at its plan. */
export const pageText = (window: Window, filter: string | null): string =>
  `select ${PAGE_COLUMNS} from public.events where ${windowCondition(window)}` +
  `${filter === null ? '' : ` and ${filter}`} order by "offset"`

async function copyOut(pool: Pool, text: string, builder: PageBuilder): Promise<void> {
  const client = await pool.connect()
  let failure: Error | undefined
  try {
    await client.query(new CopyOut(`copy (${text}) to stdout (format binary)`, builder.read)).finished
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
    throw failure
  } finally {
    client.release(failure)
  }
}

export async function countEvents(pool: Pool, window: Window): Promise<number> {
  const { rows } = await pool.query<{ count: string }>(
    `select count(*) as count from public.events where ${windowCondition(window)}`,
  )
  return Number(rows[0]?.count ?? 0)
}

/** Dead letters and gaps. */
async function countOthers(pool: Pool, { logId: id, from, to }: Window): Promise<bigint> {
  const { rows } = await pool.query<{ count: string }>({
    name: 'count-others',
    text: `select (select count(*) from public.dead_letters where log_id = $1 and "offset" >= $2 and "offset" < $3)
                + (select count(*) from public.gaps where log_id = $1 and from_offset >= $2 and from_offset < $3) as count`,
    values: [id, from.toString(), to.toString()],
  })
  return BigInt(rows[0]?.count ?? 0)
}
