import { setTimeout as sleep } from 'node:timers/promises'
import { isRetryable, ServiceError } from '../errors.ts'

/** Delays between attempts: doubling from 100 ms to 5 s. */
const firstDelayMs = 100
const lastDelayMs = 5_000

/**
 * Runs `attempt` until it succeeds, for ever but cancellable: a server that is away is waited for, never worked around
 * (design §4, "Errors"). Errors that cannot get better are thrown at once.
 */
export async function untilAvailable<T>(
  attempt: () => Promise<T>,
  onWait: (error: ServiceError) => void,
  signal: AbortSignal,
): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, lastDelayMs)) {
    signal.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof ServiceError) || !isRetryable(error.code)) throw error
      // Nobody waits any more: what is said of it now would stand for ever.
      signal.throwIfAborted()
      onWait(error)
    }
    await sleep(delayMs, undefined, { signal })
  }
}
