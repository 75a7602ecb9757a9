import { setTimeout as sleep } from 'node:timers/promises'
import type { Outcome, ServerProcess } from './contract.ts'
import { Cycle } from './cycle.ts'
import { type IngestUnderLoad, type UnderLoadOptions, underLoad } from './ingestUnderLoad.ts'
import type { Stage } from './stage.ts'

/** Something that is done to what ingest needs, and undone. */
export interface IngestFault {
  readonly name: string
  /**
   * Resolves when it is over: recovery is counted from here on. Returns how many things were hit, and may find problems of
   * its own.
   */
  inflict(ingest: IngestUnderLoad): Promise<number>
}

export interface IngestFaultsOptions extends UnderLoadOptions {
  readonly processes: number
  readonly faults: readonly [IngestFault, ...IngestFault[]]
  /** Before each fault events move for up to this long. */
  readonly calmMs: number
}

/** One fault after another under load, every kind in turn; after each one all partitions move. An outcome of its own. */
export function inflictAll(stage: Stage, options: IngestFaultsOptions): Promise<Outcome> {
  return underLoad(stage, options, async (ingest) => {
    const { rounds, random, say, signal } = stage.context
    const cycle = new Cycle(options.faults, random)
    const hits = new Map(options.faults.map(({ name }) => [name, 0]))
    await ingest.begin(options.processes)
    for (let round = 1; round <= rounds; round++) {
      await sleep(random.below(options.calmMs), undefined, { signal })
      const fault = cycle.next()
      const hit = await fault.inflict(ingest)
      ingest.clock.fault(fault.name)
      if (hit === 0) ingest.problem(`round ${round}: ${fault.name} hit nothing`)
      hits.set(fault.name, (hits.get(fault.name) ?? 0) + hit)
      await ingest.untilAllMove(`rows of every partition after ${fault.name}`)
      ingest.clock.moved()
      say(`round ${round} of ${rounds}: ${fault.name}`)
    }
    // Connections that lead nowhere would be open at the servers for ever.
    for (const { passage } of [stage.postgres, ...stage.kafka.nodes]) passage.reset()
    const counts = [...hits].map(([name, count]) => `${name} ${count}`)
    return {
      faults: [...hits.values()].reduce((sum, count) => sum + count, 0),
      notes: [`faults: ${counts.join(', ')}`, `counted from its end, ${ingest.clock.byKind()}`],
    }
  })
}

/** The server goes, is away for a while, and is back. `end` resolves when it is gone. */
export const absence = (
  name: string,
  server: ServerProcess,
  end: () => Promise<void>,
  longestMs: number,
): IngestFault => ({
  name,
  async inflict({ stage }) {
    const { random, signal } = stage.context
    await end()
    const isGone = !server.isRunning
    if (longestMs > 0) await sleep(random.below(longestMs), undefined, { signal })
    await server.start()
    return isGone ? 1 : 0
  },
})
