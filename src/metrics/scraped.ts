/** Longest that a scrape waits for the database, and how long an answer is good for, in milliseconds. */
const timeoutMs = 2_000
const freshMs = 5_000

/**
 * For gauges of one question to the database: what their `collect` calls. One question serves all gauges of a scrape and all
 * scrapes of some seconds; what comes too late, or fails, is `none`. That the database is away, readiness says.
 */
export function createRefresh<T>(
  ask: () => Promise<T>,
  none: T,
  show: (found: T) => void,
): () => Promise<void> {
  let refreshedAt = Number.NEGATIVE_INFINITY
  let refreshing: Promise<void> | null = null
  const load = async (): Promise<void> => show(await inTime(ask, none))
  return () => {
    if (performance.now() - refreshedAt < freshMs) return Promise.resolve()
    refreshing ??= load().finally(() => {
      refreshedAt = performance.now()
      refreshing = null
    })
    return refreshing
  }
}

/** The answer, or `none` when it fails or does not come within the time of a scrape. */
export async function inTime<T>(ask: () => Promise<T>, none: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(none), timeoutMs)
    timer.unref()
  })
  try {
    return await Promise.race([ask().catch(() => none), late])
  } finally {
    clearTimeout(timer)
  }
}
