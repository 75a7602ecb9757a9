import { setTimeout as sleep } from 'node:timers/promises'

export interface Waiting {
  /** For the error: `waiting for …`. */
  readonly what: string
  readonly limitMs: number
  readonly signal: AbortSignal
  /** How often to look; 50 ms when left out. */
  readonly everyMs?: number
  /** Throws when going on waiting is pointless. */
  check?(): void
  /** What helps to understand why it did not come: how far things are, the ends of logs. */
  explain?(): string
}

/** A question that hangs is given up after this long and asked again. */
const questionLimitMs = 5_000

/**
 * Asks until the answer is something else than null. @throws after the limit, or when the signal aborts, or whatever
 * `check` and the question throw
 */
export async function until<T>(question: () => Promise<T | null> | T | null, waiting: Waiting): Promise<T> {
  const { what, limitMs, signal, everyMs = 50, check, explain } = waiting
  const deadlineMs = performance.now() + limitMs
  for (;;) {
    signal.throwIfAborted()
    const answer = await answerOf(question, signal)
    if (answer !== null) return answer
    check?.()
    if (performance.now() > deadlineMs) {
      const more = explain === undefined ? '' : `\n${explain()}`
      throw new Error(`waiting for ${what}: not within ${limitMs / 1000} s${more}`)
    }
    await sleep(everyMs, undefined, { signal })
  }
}

/** Null also when there is none in time. */
function answerOf<T>(question: () => Promise<T | null> | T | null, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), questionLimitMs)
    const giveUp = (): void => reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    Promise.resolve()
      .then(question)
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
      })
  })
}
