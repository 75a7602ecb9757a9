import type { ProcessId } from '../../../stack/process.ts'

/** Ends a server at once and for good: whatever it has on disk goes with it. */
export type LastSignal = 'SIGKILL' | 'SIGQUIT'

/** What every server of a bed needs to know. */
export interface BedSite {
  readonly directory: string
  /** Where the servers' logs go. */
  readonly logs: string
  readonly say: (text: string) => void
  /** Ends every wait for a server. */
  readonly signal: AbortSignal
  /** Called for each process that is started, before anything is done with it; the signal ends it for good. */
  readonly onStarted: (id: ProcessId, lastSignal: LastSignal) => void
}
