import { postgres, postgresAddresses } from '../../../stack/postgres.ts'
import type { Passage, PostgresBed } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer } from './bedServer.ts'
import { type BedSite, bedPorts } from './site.ts'

class PostgresServer extends BedServer implements PostgresBed {
  readonly adminUrl: string
  readonly appUrl: string
  readonly appUrlThroughPassage: string
  readonly passage: Passage

  constructor(site: BedSite, port: number, passage: Passage) {
    const stackSite = { directory: site.directory, progress: site.say }
    super(
      {
        name: 'PostgreSQL',
        launch: async () => (await postgres.prepare(stackSite))([port]),
        check: () => postgres.check(stackSite, [port]),
        stopSignal: postgres.stopSignal,
        readyLimitMs: postgres.readyLimitMs,
        stopLimitMs: 60_000,
        // Its shared memory is in use until the last child of a killed postmaster has noticed.
        isWorthAnotherStart: (log) => log.includes('is still in use'),
      },
      site,
    )
    const { admin, application } = postgresAddresses(stackSite, port)
    this.adminUrl = admin
    this.appUrl = application
    this.appUrlThroughPassage = postgresAddresses(stackSite, passage.port).application
    this.passage = passage
  }

  crash(): Promise<void> {
    return this.end('SIGQUIT')
  }
}

/** Starts PostgreSQL behind a passage; it ends with the passage closed. */
export async function openPostgres(
  site: BedSite,
): Promise<{ bed: PostgresServer; close: () => Promise<void> }> {
  const [port = 0, passagePort = 0] = await bedPorts(2)
  const passage = await openPassage({
    target: `127.0.0.1:${port}`,
    protocol: 'postgres',
    port: passagePort,
  })
  const bed = new PostgresServer(site, port, passage)
  const close = async (): Promise<void> => {
    await passage.close()
    // Immediate, but it gives its shared memory back, which a killed one does not.
    await bed.crash()
  }
  try {
    site.say('starting PostgreSQL …')
    await bed.start()
    return { bed, close }
  } catch (error) {
    await close()
    throw error
  }
}
