import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../logger.ts'
import type { SchemaProbe } from '../ports.ts'

const askAgainMs = 1_000

/** Waits until the database has the schema that this version needs, and says once for what it waits. */
export async function untilSchemaReady(probe: SchemaProbe, log: Logger, signal: AbortSignal): Promise<void> {
  let said = ''
  while (!signal.aborted) {
    const state = await probe.check().catch((error: unknown) => {
      if (said !== 'away') log.warn('waiting for the database', { error })
      said = 'away'
      return null
    })
    if (state === 'ready') return
    if (state !== null && said !== state) {
      log.warn(`waiting for the database schema: it is ${state}; run pnpm db:migrate`)
      said = state
    }
    await sleep(askAgainMs, undefined, { signal })
  }
}
