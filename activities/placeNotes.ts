/** Notes on their way to a place outside the database. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyPeriod } from '../src/domain/evidence/keyPeriods.ts'
import {
  againInMs,
  isResting,
  type LogRest,
  logRests,
  NO_RESTS,
  type PlaceRests,
  restsAfter,
} from '../src/domain/evidence/noteRests.ts'
import { type LogId, logId as logIdOf } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { NoteId, NotePlace, WaitingNote } from '../src/ports.ts'
import type { PlacedNotes, PlaceNotesInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { type KnownLogs, sendNote } from './sendNote.ts'

const LOOK_MS = 20_000
/** Logs whose notes are on their way at once. */
const LANES = 4
/** Of these, logs that failed before: they may be slow to refuse, and leave room for the others. */
const RETRY_LANES = 2
/** While a place thinks about one note, new ones of other logs are looked for this often. */
const TICK_MS = 500
/** Logs of which the place does not answer, and it took nothing else, before it is taken to be away. */
const MAX_FAILED_LOGS = 3
/** Notes that are not what their rows say, in one look; nobody but a forger makes any. */
const MAX_FLAWED = 1_000

type Dependencies = Pick<
  ActivityDependencies,
  'notes' | 'places' | 'observer' | 'now' | 'log' | 'signingKeys' | 'logger'
>

/**
 * Sends what waits, each log's notes from the smallest size on, some logs at once, for some seconds. A note that fails keeps
 * back its own log only, which is tried again after a pause of its own; one that its row, its log or the keys of its time belie
 * is never sent, and keeps back nothing. Nothing of this is a failure of the activity: it says what rests, and for how long.
 * Throws UNKNOWN_PLACE, DATABASE_UNAVAILABLE.
 */
export async function placeNotes(
  deps: Dependencies,
  { signal }: Pick<ActivityScope, 'signal'>,
  { place: name, rests = NO_RESTS }: PlaceNotesInput,
): Promise<PlacedNotes> {
  const place = deps.places.find((each) => each.name === name)
  if (place === undefined)
    throw new ServiceError('UNKNOWN_PLACE', `place: this worker's NOTE_PLACES has none of this name`)
  return await new Look(deps, place, rests, signal).run()
}

/** One look at what waits at a place. */
class Look {
  readonly #deps: Dependencies
  readonly #place: NotePlace
  readonly #before: PlaceRests
  readonly #signal: AbortSignal
  readonly #startMs: number
  readonly #resting: ReadonlyMap<LogId, LogRest>
  /** What is left to send of each log; whose turn it is comes first. */
  readonly #queue = new Map<LogId, WaitingNote[]>()
  readonly #busy = new Map<LogId, Promise<void>>()
  readonly #failed = new Map<LogId, ServiceError>()
  readonly #done = new Set<LogId>()
  readonly #flawed: NoteId[] = []
  readonly #known: KnownLogs = { states: new Map(), held: new Map() }
  #periods: readonly KeyPeriod[] = []
  #placed = 0
  #first: ServiceError | null = null
  /** Not the place's: ends the look. */
  #fault: { readonly error: unknown } | null = null

  constructor(deps: Dependencies, place: NotePlace, before: PlaceRests, signal: AbortSignal) {
    this.#deps = deps
    this.#place = place
    this.#before = before
    this.#signal = signal
    this.#startMs = deps.now()
    this.#resting = new Map(logRests(before).map((rest) => [logIdOf(rest.logId), rest]))
  }

  async run(): Promise<PlacedNotes> {
    try {
      await this.#sendAll()
    } finally {
      await Promise.all(this.#busy.values())
    }
    if (this.#fault !== null) throw this.#fault.error
    this.#signal.throwIfAborted()
    return this.#result()
  }

  async #sendAll(): Promise<void> {
    let lookedMs = Number.NEGATIVE_INFINITY
    while (this.#isOpen()) {
      this.#start()
      const isIdle = this.#busy.size === 0
      if (isIdle || (this.#next() === null && performance.now() - lookedMs >= TICK_MS)) {
        await this.#refill()
        lookedMs = performance.now()
        if (isIdle && this.#next() === null) return
      } else await this.#untilSomethingIsOver()
    }
  }

  /** Whether more may be begun. */
  #isOpen(): boolean {
    if (this.#fault !== null || this.#signal.aborted) return false
    return !this.#isLate() && !this.#isAway() && this.#flawed.length < MAX_FLAWED
  }

  #isLate = (): boolean => this.#deps.now() - this.#startMs >= LOOK_MS

  /** A log that it does not take, or that is damaged, says nothing about the place; nor does one beside others that it took. */
  #isAway(): boolean {
    const ofPlace = [...this.#failed.values()].filter((error) => !isOfLog(error))
    return this.#placed === 0 && ofPlace.length >= MAX_FAILED_LOGS
  }

  #start(): void {
    for (let id = this.#next(); id !== null; id = this.#next()) {
      const [note, ...rest] = this.#queue.get(id) ?? []
      // Behind the others, which are all before it now.
      this.#queue.delete(id)
      if (note === undefined) continue
      if (rest.length > 0) this.#queue.set(id, rest)
      this.#busy.set(id, this.#send(note))
    }
  }

  /** The log whose turn it is, those first that have not failed; null when there is none, or no room. */
  #next(): LogId | null {
    if (this.#busy.size >= LANES) return null
    const ids = [...this.#queue.keys()].filter((id) => !this.#busy.has(id) && !this.#failed.has(id))
    const fresh = ids.find((id) => !this.#resting.has(id))
    if (fresh !== undefined) return fresh
    const retries = [...this.#busy.keys()].filter((id) => this.#resting.has(id)).length
    return retries < RETRY_LANES ? (ids.find((id) => this.#isDue(id)) ?? null) : null
  }

  /** Whether it may be tried now. */
  #isDue(id: LogId): boolean {
    const rest = this.#resting.get(id)
    if (rest === undefined) return true
    if (this.#placed > 0 && rest.ofPlace) return true
    const { place } = this.#before
    if (this.#placed === 0 && place !== null && isResting(place, this.#startMs)) return false
    return !isResting(rest, this.#startMs)
  }

  /** Reads what waits of the logs that are not on their way, and that may be tried. */
  async #refill(): Promise<void> {
    const { notes, signingKeys, now } = this.#deps
    const left = [...this.#resting.keys()].filter((id) => !this.#isDue(id))
    // Of many that are tried again at once some are read at a time, and leave room for the others.
    const queued = [...this.#queue.keys()].filter((id) => this.#resting.has(id))
    const without = [...left, ...queued, ...this.#failed.keys(), ...this.#busy.keys()]
    const found = await notes.notesToPlace(this.#place.name, { notes: this.#flawed, logs: without })
    if (found.length === 0) return
    // Behind the notes: what signed them is there by now.
    this.#periods = (await signingKeys.keyState()).periods
    const byLog = Map.groupBy(found, ({ logId }) => logId)
    for (const id of inTurn([...byLog.keys()], now())) this.#queue.set(id, byLog.get(id) ?? [])
  }

  async #untilSomethingIsOver(): Promise<void> {
    const tick = new AbortController()
    const signal = AbortSignal.any([this.#signal, tick.signal])
    const pause = sleep(TICK_MS, undefined, { signal }).catch(() => undefined)
    await Promise.race([...this.#busy.values(), pause])
    tick.abort()
  }

  /** Never rejects. */
  async #send(note: WaitingNote): Promise<void> {
    const { logId, checkpointId } = note
    try {
      const options = { periods: this.#periods, known: this.#known, signal: this.#signal }
      const sent = await sendNote(this.#deps, this.#place, note, options)
      if (sent.kind === 'placed') {
        this.#placed++
        this.#done.add(logId)
        return
      }
      this.#first ??= sent.error
      // Another note of the size may be good: it is read again, and comes before the larger ones of its log.
      this.#queue.delete(logId)
      if (sent.kind === 'flawed') this.#flawed.push({ checkpointId, logId })
      else this.#failed.set(logId, sent.error)
    } catch (error) {
      this.#fault ??= { error }
    } finally {
      this.#busy.delete(logId)
    }
  }

  #result(): PlacedNotes {
    const nowMs = this.#deps.now()
    const away = this.#isAway()
    const isOver = !away && !this.#isLate() && this.#flawed.length < MAX_FLAWED
    const isDone = (id: LogId): boolean => isOver || this.#done.has(id)
    const untried = [...this.#queue.keys()].some((id) => !this.#resting.has(id))
    const rests = restsAfter(this.#before, {
      nowMs,
      placed: this.#placed,
      failed: new Map([...this.#failed].map(([id, error]) => [id, { ofLog: isOfLog(error) }])),
      kept: ({ logId }) => !this.#isDue(logIdOf(logId)) || !isDone(logIdOf(logId)),
      away,
      untried: away && untried,
      flawed: this.#flawed.length > 0,
    })
    this.#say()
    const more = this.#isLate() && !away
    if (rests === null) return { placed: this.#placed, more }
    const first = this.#first
    return {
      placed: this.#placed,
      more,
      rests,
      againInMs: againInMs(rests, nowMs, nowMs - this.#startMs),
      ...(first !== null && { failure: { code: first.code, detail: first.message } }),
    }
  }

  /** The first time that a log is not taken, and no more: readiness and metrics say how it stands. */
  #say(): void {
    for (const [logId, { code, message }] of this.#failed)
      if (!this.#resting.has(logId))
        this.#deps.logger.warn('a place did not take a note: it is tried again', {
          place: this.#place.name,
          logId,
          code,
          detail: message,
        })
  }
}

const isOfLog = ({ code }: ServiceError): boolean => code !== 'PLACE_UNAVAILABLE'

/** Which log is the first changes from second to second, so that none is always the last. */
function inTurn(logs: readonly LogId[], nowMs: number): readonly LogId[] {
  const from = Math.floor(nowMs / 1_000) % Math.max(logs.length, 1)
  return [...logs.slice(from), ...logs.slice(0, from)]
}
