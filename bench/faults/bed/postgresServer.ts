import { lastingPorts } from '../../../stack/ports.ts'
import { postgres, postgresAddresses } from '../../../stack/postgres.ts'
import { type ProcessId, signalProcess } from '../../../stack/process.ts'
import type { Passage, PostgresBed } from '../contract.ts'
import { openPassage } from '../passage/passage.ts'
import { BedServer, startAll } from './bedServer.ts'
import { childrenOf } from './children.ts'
import type { BedSite } from './site.ts'

export class PostgresServer extends BedServer implements PostgresBed {
  readonly adminUrl: string
  readonly appUrl: string
  readonly appUrlThroughPassage: string
  #frozen: readonly ProcessId[] = []

  constructor(site: BedSite, port: number, passage: Passage) {
    const stackSite = { directory: site.directory, progress: site.say }
    super(
      {
        name: 'PostgreSQL',
        launch: async () => (await postgres.prepare(stackSite))([port]),
        check: () => postgres.check(stackSite, [port]),
        stopSignal: postgres.stopSignal,
        // A killed one does not give its shared memory back.
        lastSignal: 'SIGQUIT',
        readyLimitMs: postgres.readyLimitMs,
        stopLimitMs: 60_000,
        // Its shared memory is in use until the last child of a killed postmaster has noticed.
        isWorthAnotherStart: (log) => log.includes('is still in use'),
      },
      passage,
      site,
    )
    const { admin, application } = postgresAddresses(stackSite, port)
    this.adminUrl = admin
    this.appUrl = application
    this.appUrlThroughPassage = postgresAddresses(stackSite, passage.port).application
  }

  crash(): Promise<void> {
    return this.end('SIGQUIT')
  }

  /** The postmaster first: it cannot start others then. */
  override freeze(): void {
    super.freeze()
    if (!this.isRunning) return
    this.#frozen = childrenOf(this.pid)
    for (const child of this.#frozen) signalProcess(child, 'SIGSTOP')
  }

  /** Those of a postmaster that was killed in its sleep are woken too: only then do they notice. */
  override thaw(): void {
    for (const child of this.#frozen) signalProcess(child, 'SIGCONT')
    this.#frozen = []
    super.thaw()
  }
}

export async function openPostgres(site: BedSite): Promise<PostgresServer> {
  const [port = 0, passagePort = 0] = await lastingPorts(2)
  const passage = await openPassage({ target: `127.0.0.1:${port}`, protocol: 'postgres', port: passagePort })
  const server = new PostgresServer(site, port, passage)
  site.say('starting PostgreSQL …')
  await startAll([server])
  return server
}
