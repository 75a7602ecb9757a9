import { existsSync } from 'node:fs'
import { createHealthApp } from './api/app.ts'
import { createReadiness, databaseProbe, type Probe, pingProbe } from './api/health.ts'
import { notesProbe } from './api/notesProbe.ts'
import { type RunningServer, serve } from './api/server.ts'
import { type Config, readConfig } from './config.ts'
import { createLogger, type Logger } from './logger.ts'
import { registerPlaceMetrics } from './metrics/notes.ts'
import type { TemporalClient } from './replay/temporalClient.ts'
import { closeContext, createContext, type RoleContext, type RunningRole } from './roles/context.ts'
import { IngestStatus, startIngestRole } from './roles/ingest.ts'
import { untilSchemaReady } from './roles/schema.ts'

const roles = ['all', 'ingest', 'worker', 'api'] as const
type Role = (typeof roles)[number]

/** Whatever hangs: the process is gone this long after SIGTERM. */
const stopWithinMs = 9_500
const probeTimeoutMs = 1_900

const isRole = (text: string): text is Role => roles.some((role) => role === text)

async function main(): Promise<void> {
  const role = process.argv[2] ?? 'all'
  if (!isRole(role)) fail([`unknown role ${JSON.stringify(role)}: use one of ${roles.join(', ')}`])
  // What the environment says already wins.
  if (existsSync('.env')) process.loadEnvFile('.env')
  const read = readConfig(process.env)
  if (!read.ok) fail(read.problems)
  const log = createLogger({ level: read.config.log.level, fields: { role } })
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info('stopping', { signal })
      setTimeout(() => process.exit(1), stopWithinMs).unref()
      stopping.abort()
    })
  }
  process.on('unhandledRejection', (error) => {
    log.error('a promise was left unhandled', { error })
    process.exit(1)
  })
  await run(role, read.config, log, stopping.signal)
}

function fail(problems: readonly string[]): never {
  for (const problem of problems) process.stderr.write(`${problem}\n`)
  process.exit(2)
}

/** What a role consists of. Temporal's modules are large: a process that only ingests does not load them. */
interface Work {
  readonly ingests: boolean
  readonly works: boolean
  readonly temporal: TemporalClient | null
  readonly ingestStatus: IngestStatus
}

async function workOf(role: Role, config: Config): Promise<Work> {
  const needsTemporal = role !== 'ingest'
  const temporal = needsTemporal
    ? (await import('./replay/temporalClient.ts')).createTemporalClient(config.temporal)
    : null
  return {
    ingests: role === 'ingest' || role === 'all',
    works: role === 'worker' || role === 'all',
    temporal,
    ingestStatus: new IngestStatus(),
  }
}

/** Runs a role until it is told to stop. Health is served from the beginning, work begins when the schema is there. */
async function run(role: Role, config: Config, log: Logger, stopping: AbortSignal): Promise<void> {
  const context = createContext(config, log)
  const work = await workOf(role, config)
  const parts: RunningRole[] = []
  const server = await serveHttp(role, context, work)
  log.info('listening', { url: server.url })
  const asked = aborted(stopping)
  try {
    await untilSchemaReady(context.store.schema, log, stopping)
    if (work.ingests) parts.push(await startIngestRole(context, work.ingestStatus, stopping))
    if (work.works && work.temporal !== null)
      parts.push((await import('./roles/worker.ts')).startWorkerRole(context, work.temporal))
    log.info('ready', { url: server.url })
    await asked
  } catch (error) {
    if (!stopping.aborted) throw error
  } finally {
    await Promise.allSettled(parts.map((part) => part.stop()))
    await server.close()
    await work.temporal?.close()
    await closeContext(context)
    log.info('stopped')
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

const temporalProbe = (temporal: TemporalClient): Probe =>
  pingProbe('temporal', () => temporal.ping(probeTimeoutMs))

/** Health, metrics and, where the role has it, the API: there from the first moment, also while servers are waited for. */
async function serveHttp(role: Role, context: RoleContext, work: Work): Promise<RunningServer> {
  const { config, metrics, log, directory } = context
  const probes = [databaseProbe(context.store.schema), pingProbe('kafka', () => directory.ping())]
  if (work.temporal !== null) probes.push(temporalProbe(work.temporal))
  if (work.ingests) probes.push(work.ingestStatus.probe)
  const places = config.places.notes.map(({ name }) => name)
  const standing = () => context.store.notes.standingOf(places)
  if (work.temporal !== null && places.length > 0) {
    probes.push(notesProbe(standing))
    registerPlaceMetrics(metrics.registry, standing)
  }
  const readiness = createReadiness(probes)
  if (work.temporal === null || role === 'worker') {
    const app = createHealthApp({ readiness, metrics, log })
    return serve(app, { host: config.http.host, port: config.http.metricsPort })
  }
  const { createApiRole } = await import('./roles/api.ts')
  return serve(createApiRole(context, work.temporal, readiness), config.http)
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  },
)
