/** Calls that nobody can break off, such as those to a disk, held to a time and a number. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors.ts'

export interface CallLimit {
  /**
   * Runs `work`, one at a time under each name, and waits for it so long. What does not come back in time keeps its name and its
   * room: under that name nothing else is begun, so that one thing that hangs takes one thread, however often it is tried.
   * Throws PLACE_UNAVAILABLE.
   */
  run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>
}

export interface CallLimitOptions {
  /** Calls that are under way at once, the hanging ones among them. */
  readonly atOnce: number
  readonly limitMs: number
}

export function createCallLimit({ atOnce, limitMs }: CallLimitOptions): CallLimit {
  const underWay = new Map<string, Promise<void>>()
  const hanging = new Set<string>()
  return {
    async run<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
      const over = AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
      while (underWay.has(name) || underWay.size >= atOnce) {
        if (hanging.has(name) || hanging.size >= atOnce) throw hangs()
        await inTime(over, underWay.get(name) ?? Promise.race(underWay.values()))
      }
      const working = work()
      const settled = working.then(
        () => undefined,
        () => undefined,
      )
      underWay.set(name, settled)
      void settled.then(() => {
        underWay.delete(name)
        hanging.delete(name)
      })
      try {
        await inTime(over, settled)
      } catch (error) {
        hanging.add(name)
        throw error
      }
      return await working
    },
  }
}

const hangs = (): ServiceError =>
  new ServiceError('PLACE_UNAVAILABLE', 'it does not answer: a call to it hangs')

async function inTime(over: AbortSignal, awaited: Promise<void>): Promise<void> {
  const waited = new AbortController()
  const signal = AbortSignal.any([over, waited.signal])
  const ended = sleep(LONGEST_MS, undefined, { signal }).catch(() => undefined)
  const isThere = await Promise.race([awaited.then(() => true), ended.then(() => false)])
  waited.abort()
  if (!isThere) throw hangs()
}

/** Longer than any limit. */
const LONGEST_MS = 3_600_000
