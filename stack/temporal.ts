import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { NativeServer } from './native.ts'
import { findTemporal } from './temporal-cli.ts'
import { checkTemporal } from './temporal-probe.ts'

export const temporal: NativeServer = {
  name: 'temporal',
  // Front end, UI, HTTP, metrics: chosen together, so that none takes another's place.
  portCount: 4,
  stopSignal: 'SIGTERM',
  readyLimitMs: 90_000,

  async prepare(site) {
    const command = await findTemporal(site)
    const folder = join(site.directory, 'temporal')
    mkdirSync(folder, { recursive: true })
    return ([port, uiPort, httpPort, metricsPort]) => ({
      command,
      args: [
        ...['server', 'start-dev', '--ip', '127.0.0.1', '--log-level', 'warn'],
        ...['--db-filename', join(folder, 'temporal.db')],
        ...['--port', String(port), '--ui-port', String(uiPort)],
        ...['--http-port', String(httpPort), '--metrics-port', String(metricsPort)],
      ],
      logFile: join(site.directory, 'logs', 'temporal.log'),
      cwd: folder,
    })
  },

  async check(_site, [port = 0]) {
    await checkTemporal(`127.0.0.1:${port}`)
  },
}
