/**
 * What a process knows of the notes that a place has: so that a look costs as much as there are logs and checkpoints of the last
 * minutes, whatever was ever signed, and whatever waits.
 */
import { type drizzle, sql } from '../../drizzle/orm.ts'
import { type LogId, logId } from '../domain/model.ts'

type Db = ReturnType<typeof drizzle>

/** Longer than a checkpoint takes from its signatures to its commit. */
const SETTLED_MINUTES = 10
/** So long what was found to be there is believed, or longer where looking takes long. A database may be put back to a backup meanwhile. */
const SWEPT_FOR_MS = 600_000
const SWEPT_FOR_TIMES = 100
/** Sweeping goes on with the next look after so long. */
const SWEEP_MS = 500
/** Positions that one statement reads, and logs that it is about; of checkpoints that have settled, so many. */
const STEP_POSITIONS = 20_000
const STEP_LOGS = 1_000
const STEP_CHECKPOINTS = 64
/** Of each log at least. */
const MIN_POSITIONS = 20

/**
 * Whether nothing is written down of the note of a position `p` at a place. Scalars, so that they are asked row by row, and a limit
 * ends it: no estimate of the planner's makes it read a table.
 */
export const waits = (place: string) => sql`${isNotPlaced(place)} and (select true from public.note_flaws f
    where f.place = ${place} and f.checkpoint_id = p.checkpoint_id and f.log_id = p.log_id) is null`

/** The same, whether or not the note was found to be flawed. */
export const isNotPlaced = (place: string) => sql`(select true from public.note_placements d
    where d.place = ${place} and d.log_id = p.log_id and d.size = p.size) is null`

/** The logs, and a size of each, as rows `b`. */
export const logSizes = (sizes: ReadonlyMap<LogId, bigint>) =>
  sql`unnest(${sql.param([...sizes.keys()])}::integer[], ${sql.param([...sizes.values()].map(String))}::bigint[]) b (log_id, size)`

/** What one look starts from. */
export interface Surveyed {
  /** Checkpoints behind this sequence are looked at one by one. */
  readonly mark: string
  /** Of each log with an older note that waits, the smallest size that does. */
  readonly waiting: ReadonlyMap<LogId, bigint>
  /** All older notes have been looked at. */
  readonly isWhole: boolean
}

/**
 * One place's. Positions of checkpoints that have settled are looked at once, log by log, in steps, and then only where they
 * wait: each log goes through its index from the smallest size that waited at the last look. Those that settle later are looked at
 * when they do. Not to be called twice at a time.
 */
export class NoteSurvey {
  readonly #db: Db
  readonly #place: string
  readonly #now: () => number
  #mark: bigint | null = null
  #sweptMs = Number.NEGATIVE_INFINITY
  /** What the last time through took. */
  #tookMs = 0
  /** Whether everything is being looked through, for the first time or again. */
  #sweeping: 'first' | 'again' | null = null
  readonly #waiting = new Map<LogId, bigint>()
  /** How far each log has been looked at that is not through. */
  readonly #pending = new Map<LogId, bigint>()

  constructor(db: Db, place: string, now: () => number) {
    this.#db = db
    this.#place = place
    this.#now = now
  }

  get found(): Surveyed {
    const isThrough = this.#pending.size === 0 || this.#sweeping === 'again'
    const isWhole = this.#mark !== null && this.#sweeping !== 'first' && isThrough
    // While it is not whole, the newest are all looked at: a note that was forgotten is most likely among them.
    const mark = isWhole ? String(this.#mark) : '0'
    return { mark, waiting: new Map(this.#waiting), isWhole }
  }

  /** Throws what the database throws; what was learnt until then stays. */
  async look(): Promise<void> {
    // One step at least, however long the others took.
    const startedAt = performance.now()
    const inSteps = async (isLeft: () => boolean, step: () => Promise<void>): Promise<void> => {
      while (isLeft()) {
        await step()
        if (performance.now() - startedAt >= SWEEP_MS) return
      }
    }
    const settled = await this.#readSettled()
    const isOld = this.#sweeping === null && this.#now() - this.#sweptMs >= this.#believedMs()
    if (this.#mark === null || settled < this.#mark || isOld) await this.#begin(settled)
    await inSteps(
      () => (this.#mark ?? settled) < settled,
      () => this.#advance(settled),
    )
    await this.#probe(this.#waiting, this.#waiting)
    const sweptFrom = performance.now()
    await inSteps(
      () => this.#pending.size > 0,
      () => this.#probe(firstOf(this.#pending), this.#pending),
    )
    if (this.#sweeping === null) return
    this.#tookMs += performance.now() - sweptFrom
    if (this.#pending.size > 0) return
    this.#sweptMs = this.#now()
    this.#sweeping = null
  }

  #believedMs = (): number => Math.max(SWEPT_FOR_MS, SWEPT_FOR_TIMES * this.#tookMs)

  async #readSettled(): Promise<bigint> {
    const { rows } = await this.#db.execute<{ sequence: string }>(sql`
      select sequence from public.checkpoints
       where created_at < clock_timestamp() - make_interval(mins => ${SETTLED_MINUTES})
       order by sequence desc limit 1`)
    return BigInt(rows[0]?.sequence ?? 0)
  }

  /** All logs, from their beginning on. What is known to wait goes on waiting meanwhile. */
  async #begin(settled: bigint): Promise<void> {
    const { rows } = await this.#db.execute<{ id: number }>(
      sql`select id from public.partition_logs order by id`,
    )
    for (const { id } of rows) this.#pending.set(logId(id), 0n)
    // A database that was put back numbers from lower on.
    const isNew = this.#mark === null || settled < this.#mark
    if (isNew) this.#mark = settled
    this.#sweeping = isNew ? 'first' : 'again'
    this.#tookMs = 0
  }

  /** Checkpoints that have settled since the last look: what waits of them is known by its log from now on. */
  async #advance(settled: bigint): Promise<void> {
    const { rows } = await this.#db.execute<{ mark: string; log_id: number | null; size: string | null }>(sql`
      with span as materialized (
        select id, sequence from public.checkpoints where sequence > ${String(this.#mark)}::bigint and sequence <= ${String(settled)}::bigint
         order by sequence limit ${STEP_CHECKPOINTS})
      select m.mark, w.log_id, w.size
        from (select max(sequence) as mark from span) m
        left join (select p.log_id, min(p.size) as size
                     from span s
                     cross join lateral (select log_id, size, checkpoint_id, note from public.checkpoint_positions
                                          where checkpoint_id = s.id offset 0) p
                    where p.note is not null and ${waits(this.#place)} group by p.log_id) w on true`)
    for (const { log_id, size } of rows)
      if (log_id !== null && size !== null) lower(this.#waiting, logId(log_id), BigInt(size))
    this.#mark = BigInt(rows[0]?.mark ?? settled)
  }

  /**
   * Looks for the first note of each log that waits, from a size on, in a number of positions. Where there is none among them the
   * log is pending from the next position on, and where there is no position left it is through.
   */
  async #probe(sizes: ReadonlyMap<LogId, bigint>, source: Map<LogId, bigint>): Promise<void> {
    if (sizes.size === 0) return
    const some = Math.max(MIN_POSITIONS, Math.floor(STEP_POSITIONS / sizes.size))
    // With ties: many rows may have one size, and the next step goes on behind it.
    const positions = sql`select size, log_id, checkpoint_id, note from public.checkpoint_positions
      where log_id = b.log_id and size >= b.size order by size fetch first ${some} rows with ties`
    const { rows } = await this.#db.execute<{
      log_id: number
      first: string | null
      next: string | null
    }>(sql`
      select b.log_id, w.size as first,
             case when w.size is null then (
               select n.size from public.checkpoint_positions n
                where n.log_id = b.log_id and n.size > (select max(size) from (${positions}) r)
                order by n.size limit 1) end as next
        from ${logSizes(sizes)}
        left join lateral (
          select p.size from (${positions}) p where p.note is not null and ${waits(this.#place)} order by p.size limit 1) w on true`)
    for (const { log_id, first, next } of rows) {
      const id = logId(log_id)
      source.delete(id)
      if (first !== null) lower(this.#waiting, id, BigInt(first))
      else if (next !== null && BigInt(next) < (this.#waiting.get(id) ?? MAX_SIZE))
        lower(this.#pending, id, BigInt(next))
    }
  }
}

const MAX_SIZE = 2n ** 63n

function lower(sizes: Map<LogId, bigint>, id: LogId, size: bigint): void {
  const known = sizes.get(id)
  if (known === undefined || size < known) sizes.set(id, size)
}

/** Those behind them come first the next time. */
const firstOf = (sizes: ReadonlyMap<LogId, bigint>): ReadonlyMap<LogId, bigint> =>
  new Map([...sizes].slice(0, STEP_LOGS))
