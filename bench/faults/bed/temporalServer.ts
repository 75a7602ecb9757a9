import { lastingPorts } from '../../../stack/ports.ts'
import { temporal } from '../../../stack/temporal.ts'
import type { Passage, TemporalBed } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer, startAll } from './bedServer.ts'
import type { BedSite } from './site.ts'

export class TemporalServer extends BedServer implements TemporalBed {
  readonly address: string
  readonly addressThroughPassage: string

  constructor(site: BedSite, ports: readonly number[], passage: Passage) {
    const stackSite = { directory: site.directory, progress: site.say }
    super(
      {
        name: 'Temporal',
        launch: async () => (await temporal.prepare(stackSite))(ports),
        check: () => temporal.check(stackSite, ports),
        stopSignal: temporal.stopSignal,
        lastSignal: 'SIGKILL',
        readyLimitMs: temporal.readyLimitMs,
        stopLimitMs: 10_000,
      },
      passage,
      site,
    )
    this.address = `127.0.0.1:${ports[0]}`
    this.addressThroughPassage = passage.address
  }
}

/** Starts Temporal's development server, whose database is a file. */
export async function openTemporal(site: BedSite): Promise<TemporalServer> {
  const [passagePort = 0, ...ports] = await lastingPorts(1 + temporal.portCount)
  const passage = await openPassage({ target: `127.0.0.1:${ports[0]}`, protocol: 'raw', port: passagePort })
  const server = new TemporalServer(site, ports, passage)
  site.say('starting Temporal …')
  await startAll([server])
  return server
}
