import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll } from 'vitest'

const DAY_MS = 86_400_000
/** Longer than any file of tests takes that calls this. */
const BEFORE_MS = 90_000

/** Days are those of UTC: what a file says of "today" holds for all of its run, since it does not begin right before midnight. */
export function useOneDay(): void {
  beforeAll(async () => {
    const left = DAY_MS - (Date.now() % DAY_MS)
    if (left < BEFORE_MS) await sleep(left + 1_000)
  }, 2 * BEFORE_MS)
}
