/** What producers must show, kept up to date beside the hot path: decoding only ever looks at the map that is there. */
import type { SignatureRegistry } from '../domain/decode.ts'
import type { SourceSignatures } from '../domain/producerSignature.ts'
import type { Logger } from '../logger.ts'
import { untilAvailable } from './wait.ts'

/** How long a new key or policy may take to count, at most, in every ingest process. */
const REFRESH_MS = 3_000

export interface ProducerRegistry extends SignatureRegistry {
  stop(): Promise<void>
}

/**
 * Resolves with the first answer, however long the database is away: nothing may be decoded before, or events that must
 * be signed would be taken without. Later the last answer counts until there is a newer one; keys in it begin and end
 * by `now`, this machine's clock, however old it is.
 */
export async function watchProducers(
  ask: () => Promise<ReadonlyMap<string, SourceSignatures>>,
  log: Logger,
  signal: AbortSignal,
  refreshMs = REFRESH_MS,
  now: () => number = Date.now,
): Promise<ProducerRegistry> {
  let sources = await untilAvailable(
    ask,
    (error) => log.warn('ingest waits for the keys of producers', { error }),
    signal,
  )
  const damaged = new DamagedSources(log)
  damaged.tell(sources)
  let said = false
  let asking: Promise<void> | null = null
  const refresh = async (): Promise<void> => {
    try {
      sources = await ask()
      damaged.tell(sources)
      said = false
    } catch (error) {
      if (!said) log.warn('the keys of producers are not up to date', { error })
      said = true
    }
  }
  // One question at a time, however long an answer takes.
  const timer = setInterval(() => {
    asking ??= refresh().finally(() => {
      asking = null
    })
  }, refreshMs)
  return {
    get sources() {
      return sources
    },
    now,
    async stop() {
      clearInterval(timer)
      await asking
    },
  }
}

/** Sources, and rows of each, that one message names. */
const MAX_NAMED = 10

/** Says of each source once that keys of it cannot be read. */
class DamagedSources {
  readonly #log: Logger
  readonly #told = new Set<string>()

  constructor(log: Logger) {
    this.#log = log
  }

  tell(sources: ReadonlyMap<string, SourceSignatures>): void {
    const found = [...sources].flatMap(([source, { unreadable = [] }]) =>
      unreadable.length === 0 || this.#told.has(source)
        ? []
        : [{ source, rows: unreadable.slice(0, MAX_NAMED) }],
    )
    if (found.length === 0) return
    for (const { source } of found) this.#told.add(source)
    this.#log.warn('rows of producer_keys cannot be read: their sources must sign with other keys', {
      count: found.length,
      sources: found.slice(0, MAX_NAMED),
    })
  }
}
