import { temporal } from '../../../stack/temporal.ts'
import type { Passage, TemporalBed } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer } from './bedServer.ts'
import { type BedSite, bedPorts } from './site.ts'

class TemporalServer extends BedServer implements TemporalBed {
  readonly address: string
  readonly addressThroughPassage: string
  readonly passage: Passage

  constructor(site: BedSite, ports: readonly number[], passage: Passage) {
    const stackSite = { directory: site.directory, progress: site.say }
    super(
      {
        name: 'Temporal',
        launch: async () => (await temporal.prepare(stackSite))(ports),
        check: () => temporal.check(stackSite, ports),
        stopSignal: temporal.stopSignal,
        readyLimitMs: temporal.readyLimitMs,
        stopLimitMs: 10_000,
      },
      site,
    )
    this.address = `127.0.0.1:${ports[0]}`
    this.addressThroughPassage = passage.address
    this.passage = passage
  }
}

/** Starts Temporal's development server, whose database is a file, behind a passage. */
export async function openTemporal(
  site: BedSite,
): Promise<{ bed: TemporalServer; close: () => Promise<void> }> {
  const [passagePort = 0, ...ports] = await bedPorts(1 + temporal.portCount)
  const passage = await openPassage({
    target: `127.0.0.1:${ports[0]}`,
    protocol: 'raw',
    port: passagePort,
  })
  const bed = new TemporalServer(site, ports, passage)
  const close = async (): Promise<void> => {
    await passage.close()
    await bed.kill()
  }
  try {
    site.say('starting Temporal …')
    await bed.start()
    return { bed, close }
  } catch (error) {
    await close()
    throw error
  }
}
