import { setTimeout as sleep } from 'node:timers/promises'

const askAgainMs = 15
const attempts = 2_000

/** Coordinators that load, and one that still ends the transaction before (CONCURRENT_TRANSACTIONS). */
const passing: ReadonlySet<number> = new Set([14, 15, 16, 51])

/** Asks a coordinator until it is ready. @throws for every other error code, and when it is not ready for half a minute */
export async function untilReady<T>(
  what: string,
  signal: AbortSignal,
  attempt: () => Promise<{ readonly code: number; readonly value: T }>,
): Promise<T> {
  for (let left = attempts; ; left--) {
    const { code, value } = await attempt()
    if (code === 0) return value
    if (!passing.has(code) || left === 0) throw new Error(`${what}: the broker answered with error ${code}`)
    await sleep(askAgainMs, undefined, { signal })
  }
}
