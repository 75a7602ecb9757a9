/** Notes on their way to a place outside the database. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyPeriod } from '../src/domain/evidence/keyPeriods.ts'
import {
  againInMs,
  type FlawedRest,
  isResting,
  type LogRest,
  logRests,
  NO_RESTS,
  type PlaceRests,
  restAfter,
  restsAfter,
} from '../src/domain/evidence/noteRests.ts'
import { type LeafIndex, type LogId, logId as logIdOf } from '../src/domain/model.ts'
import { ServiceError } from '../src/errors.ts'
import type { FlawedNote, NotePlace, WaitingNote } from '../src/ports.ts'
import type { PlacedNotes, PlaceNotesInput } from './contract.ts'
import type { ActivityDependencies, ActivityScope } from './dependencies.ts'
import { flawOf, type KnownLogs, sendNote } from './sendNote.ts'

const LOOK_MS = 20_000
/** Logs whose notes are on their way at once. */
const LANES = 4
/** Of these, logs that failed before: they may be slow to refuse, and leave room for the others. */
const RETRY_LANES = 2
/** While a place thinks about one note, new ones of other logs are looked for this often. */
const TICK_MS = 500
/** Logs of which the place does not answer, and it took nothing else, before it is taken to be away. */
const MAX_FAILED_LOGS = 3

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
  /** Logs with notes that were flawed and are good. */
  readonly #mended = new Set<LogId>()
  /** While what is flawed is not looked at again. */
  #flawedBefore: FlawedRest | null = null
  #isFlawed = false
  #flawedNext: Pick<FlawedRest, 'from' | 'found'> = {}
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
    await this.#lookAtFlawed()
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

  /** Somebody may have mended one, or have marked a good one: it is sent. */
  async #lookAtFlawed(): Promise<void> {
    const { notes: store, signingKeys } = this.#deps
    const before = this.#before.flawed
    if (before !== null && isResting(before, this.#startMs)) {
      this.#flawedBefore = before
      return
    }
    const from = before?.from ?? null
    const { notes, next } = await store.flawedNotes(this.#place.name, from)
    if (notes.length > 0) this.#periods = (await signingKeys.keyState()).periods
    let found = from !== null && before?.found === true
    for (const note of notes) {
      const flaw = await this.#flawOf(note)
      if (flaw === null) this.#mend(note)
      else found = true
    }
    this.#isFlawed = found || next !== null
    if (next !== null) this.#flawedNext = { from: next, ...(found && { found }) }
  }

  #mend(note: WaitingNote): void {
    this.#mended.add(note.logId)
    const notes = [...(this.#queue.get(note.logId) ?? []), note]
    this.#queue.set(
      note.logId,
      notes.sort((one, other) => (one.size < other.size ? -1 : 1)),
    )
  }

  /** Whether more may be begun. */
  #isOpen(): boolean {
    if (this.#fault !== null || this.#signal.aborted) return false
    return !this.#isLate() && !this.#isAway()
  }

  #isLate = (): boolean => this.#deps.now() - this.#startMs >= LOOK_MS

  /** A log that it does not take, or that is damaged, says nothing about the place; nor does one beside others that it took. */
  #isAway(): boolean {
    const ofPlace = [...this.#failed.values()].filter((error) => !isOfLog(error))
    return this.#placed === 0 && ofPlace.length >= MAX_FAILED_LOGS
  }

  #start(): void {
    for (let id = this.#next(); id !== null; id = this.#next()) {
      const notes = this.#queue.get(id) ?? []
      this.#queue.delete(id)
      this.#busy.set(id, this.#send(id, notes))
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
    const queued = [...this.#queue.keys()].filter((id) => this.#resting.has(id) || this.#mended.has(id))
    const without = [...left, ...queued, ...this.#failed.keys(), ...this.#busy.keys()]
    const found = await notes.notesToPlace(this.#place.name, { logs: without })
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

  /** The first of a log's notes that is good. Never rejects. */
  async #send(id: LogId, notes: readonly WaitingNote[]): Promise<void> {
    try {
      const good = await this.#firstGood(notes)
      const [note, ...rest] = notes.slice(good)
      if (note === undefined) return
      // Behind the others, which are all before it now.
      if (rest.length > 0) this.#queue.set(id, rest)
      const error = await sendNote(this.#deps, this.#place, note, {
        known: this.#known,
        signal: this.#signal,
      })
      if (error === null) {
        this.#placed++
        this.#done.add(id)
        this.#passOver(id, note.size)
        return
      }
      this.#first ??= error
      this.#queue.delete(id)
      this.#failed.set(id, error)
    } catch (error) {
      this.#fault ??= { error }
    } finally {
      this.#busy.delete(id)
    }
  }

  /** Its index. Those before it are written down as flawed: they wait no longer, and keep back no other. */
  async #firstGood(notes: readonly WaitingNote[]): Promise<number> {
    const { notes: store, observer } = this.#deps
    const flawed: FlawedNote[] = []
    for (const note of notes) {
      const flaw = await this.#flawOf(note)
      if (flaw === null) break
      flawed.push({ note, detail: flaw.message })
    }
    if (flawed.length === 0) return 0
    for (const _ of flawed) observer.noteFailed(this.#place.name)
    this.#isFlawed = true
    await store.recordFlaws(this.#place.name, flawed)
    return flawed.length
  }

  async #flawOf(note: WaitingNote): Promise<ServiceError | null> {
    this.#signal.throwIfAborted()
    const flaw = await flawOf(this.#deps, note, this.#periods, this.#known)
    this.#first ??= flaw
    return flaw
  }

  /** Other notes that say the same. */
  #passOver(id: LogId, size: LeafIndex): void {
    const left = (this.#queue.get(id) ?? []).filter((note) => note.size !== size)
    if (left.length > 0) this.#queue.set(id, left)
    else this.#queue.delete(id)
  }

  #result(): PlacedNotes {
    const nowMs = this.#deps.now()
    const away = this.#isAway()
    const isOver = !away && !this.#isLate()
    const isDone = (id: LogId): boolean => isOver || this.#done.has(id)
    const untried = [...this.#queue.keys()].some((id) => !this.#resting.has(id))
    const rests = restsAfter(this.#before, {
      nowMs,
      placed: this.#placed,
      failed: new Map([...this.#failed].map(([id, error]) => [id, { ofLog: isOfLog(error) }])),
      kept: ({ logId }) => !this.#isDue(logIdOf(logId)) || !isDone(logIdOf(logId)),
      away,
      untried: away && untried,
      flawed: this.#flawedRest(nowMs),
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

  #flawedRest(nowMs: number): FlawedRest | null {
    if (this.#flawedBefore !== null || !this.#isFlawed) return this.#flawedBefore
    return { ...restAfter(this.#before.flawed, nowMs), ...this.#flawedNext }
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
