import { randomInt } from 'node:crypto'
import { freePorts } from '../../../stack/ports.ts'
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

/**
 * Below the ports that systems choose for outgoing connections: a server that is dead for a while must find its port
 * free again, and whoever tries to reach a dead one from such a port may end up connected with himself.
 */
const lowestPort = 18_000
const highestPort = 32_000

/** Ports that a bed can keep for its life: free at the moment, all different. */
export function bedPorts(count: number): Promise<number[]> {
  const wanted = new Set<number>()
  while (wanted.size < count) wanted.add(randomInt(lowestPort, highestPort))
  return freePorts(count, [...wanted])
}
