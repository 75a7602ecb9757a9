import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AdoptionReport, RecoveryReport } from '../../src/domain/archive/recoveryView.ts'
import { type ArchiveView, archiveEnded } from '../../src/domain/archive/view.ts'
import { keyPairOf } from '../../src/domain/evidence/ed25519.ts'
import { formatSigningKey, verifierKey } from '../../src/domain/evidence/noteKeys.ts'
import { type VerificationView, verificationEnded } from '../../src/domain/verification/view.ts'
import { projectRoot } from '../../stack/paths.ts'
import { findJavaReader } from '../judge/javaReader.ts'
import { judge } from '../judge/judge.ts'
import { createKafkajsReader } from '../judge/kafkajsReader.ts'
import { checkLog } from '../judge/logCheck.ts'
import { createApi } from '../run/api.ts'
import type { RoleProcess } from '../run/roles.ts'
import { formatCount, formatSeconds, type Say } from '../run/say.ts'
import { untilReplayEnded } from '../run/untilEnded.ts'
import { countLogged, watchUntil } from '../run/watch.ts'
import { type World, withClient } from '../run/world.ts'
import { type Filled, fillTopic } from '../source/fill.ts'
import type { DrillResult, LogHead, Phase } from './report.ts'

const partitions = 4
const instance = 'drill.example/ingest'

export interface DrillRun {
  readonly world: World
  readonly kafkaClasspath: string | null
  readonly events: number
  readonly say: Say
  readonly signal: AbortSignal
}

/** Folders outside the database: what a disaster leaves. */
interface Outside {
  readonly folder: string
  readonly notes: string
  readonly archives: string
  readonly privateKey: string
  readonly keys: string
}

/** Ingest, checkpoints, an archive, more ingest; then the database is destroyed and everything comes back. */
export async function runDrill(run: DrillRun): Promise<DrillResult> {
  const outside = makeOutside()
  try {
    return await runWith(run, outside)
  } finally {
    rmSync(outside.folder, { recursive: true, force: true })
  }
}

function makeOutside(): Outside {
  const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-drill-'))
  const seed = randomBytes(32)
  const outside = {
    folder,
    notes: join(folder, 'notes'),
    archives: join(folder, 'archives'),
    privateKey: join(folder, 'private-key'),
    keys: join(folder, 'keys'),
  }
  mkdirSync(outside.notes)
  mkdirSync(outside.archives)
  writeFileSync(outside.privateKey, formatSigningKey(instance, seed), { mode: 0o600 })
  writeFileSync(outside.keys, `${verifierKey(instance, keyPairOf(seed).publicKey).text}\n`)
  return outside
}

async function runWith(run: DrillRun, outside: Outside): Promise<DrillResult> {
  const { world, say, signal, events } = run
  const started = performance.now()
  const phases: Phase[] = []
  let atWork: readonly RoleProcess[] = []
  const phase = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const begun = performance.now()
    say.line(`${name} …`)
    const result = await work().catch((error: unknown) => {
      // A role that ended by itself says why; what waited for it does not.
      if (!signal.aborted) for (const role of atWork) role.check()
      throw error
    })
    const seconds = (performance.now() - begun) / 1000
    phases.push({ name, seconds })
    say.line(`${name}: ${formatSeconds(seconds)}`)
    return result
  }
  say.line(`migrating a database of its own (everything made here is named ${world.name}) …`)
  let database = await world.createDatabase()
  const source = await world.createTopic('source', partitions)
  const target = world.topicName('target')
  const roleEnv = {
    DATABASE_URL: database.appUrl,
    KAFKA_TOPICS: source,
    KAFKA_GROUP_ID: world.name,
    KAFKA_CLIENT_ID: world.name,
    TEMPORAL_TASK_QUEUE: world.name,
    BATCH_MODE: 'true',
    CHECKPOINT_SIGNING_KEY_FILE: outside.privateKey,
    NOTE_PLACES: `file://${outside.notes}`,
    ARCHIVE_PLACE: `file://${outside.archives}`,
  }
  const startAll = async () => {
    const roles = await Promise.all([
      world.startRole('ingest', roleEnv),
      world.startRole('worker', roleEnv),
      world.startRole('api', roleEnv),
    ])
    await Promise.all(roles.map((role) => role.ready(signal)))
    const [ingest, worker, apiRole] = roles
    atWork = roles
    return { roles, ingest, worker, api: createApi(apiRole.url, 'drill'), call: callerOf(apiRole.url) }
  }
  const produce = (count: number, seed: number, before?: Filled): Promise<Filled> => {
    const options = { seed, events: count, partitions, recordsPerBatch: 500 } as const
    const mix = { badPercent: 1, duplicatePercent: 1, compression: true } as const
    const sayIt = (records: number): void => say.progress(`producing … ${formatCount(records)}`)
    return fillTopic(world.admin, source, { ...options, ...mix }, sayIt, signal, before)
  }
  const logged = (goal: number, ingest: RoleProcess): Promise<unknown> =>
    withClient(database.ownerUrl, (client) =>
      watchUntil(() => countLogged(client), goal, {
        ...{ everyMs: 25, patienceMs: 60_000, what: 'ingest', signal },
        check: () => ingest.check(),
        onSample: ({ count }) => say.progress(`ingesting … ${formatCount(count)} of ${formatCount(goal)}`),
      }),
    )
  const noted = (goal: number): Promise<unknown> =>
    watchUntil(async () => notesIn(outside.notes), goal, {
      ...{ everyMs: 50, patienceMs: 60_000, what: 'waiting for notes', signal },
      check: () => undefined,
      onSample: () => say.progress('waiting until the notes lie outside …'),
    })

  const half = Math.floor(events / 2)
  const first = await produce(half, 20_261_126)
  let up = await startAll()
  await phase('ingest', () => logged(first.produced, up.ingest))
  await phase('checkpoint, notes', async () => {
    await up.api.createCheckpoint({ topic: source })
    await noted(partitions)
  })
  const archive = await phase('archive, read back', async () => {
    const { id } = await up.call<ArchiveView>('POST', '/archives', { topic: source })
    return untilEnded(() => up.call<ArchiveView>('GET', `/archives/${id}`), archiveEnded, up.worker, signal)
  })
  const filled = await produce(events - half, 20_261_127, first)
  await phase('more ingest, notes', async () => {
    await logged(filled.produced, up.ingest)
    await up.api.createCheckpoint({ topic: source })
    await noted(2 * partitions)
  })
  const before = await headsOf(database.ownerUrl)

  await phase('the disaster', async () => {
    atWork = []
    await Promise.all(up.roles.map((role) => role.kill()))
    await world.dropDatabase(database.name)
  })
  await phase('empty database', async () => {
    database = await world.createDatabase()
  })
  const recovery = await phase('recover from archive', async () => {
    const args = ['recover', '--from', outside.archives, '--notes', outside.notes, '--key', outside.keys]
    const env = {
      DATABASE_ADMIN_URL: database.ownerUrl,
      DATABASE_URL: database.appUrl,
      KAFKA_BROKERS: world.env.KAFKA_BROKERS,
    }
    const { code, stdout, stderr } = await runCommand(
      'src/recovery/main.ts',
      [...args, '--kafka', '--json'],
      env,
      signal,
    )
    if (code !== 0) throw new Error(`pnpm archive recover ended with ${code}: ${stderr}${stdout}`)
    return JSON.parse(stdout) as RecoveryReport
  })
  up = await phase('start the platform', startAll)
  await phase('rest from Kafka', () => logged(filled.produced, up.ingest))
  const after = await headsOf(database.ownerUrl)
  const adoption = await phase('roots of all notes', async () => {
    const args = ['adopt-notes', '--notes', outside.notes, '--key', outside.keys, '--json']
    const env = { DATABASE_URL: database.appUrl }
    const { code, stdout, stderr } = await runCommand('src/recovery/main.ts', args, env, signal)
    if (code !== 0) throw new Error(`pnpm archive adopt-notes ended with ${code}: ${stderr}${stdout}`)
    return JSON.parse(stdout) as AdoptionReport
  })
  const audit = await phase('audit with the notes', async () => {
    const args = ['audit', '--notes', outside.notes, '--key', outside.keys]
    const env = { DATABASE_URL: database.appUrl }
    const { code, stdout, stderr } = await runCommand('src/cli/evidence-main.ts', args, env, signal)
    return { code, text: stdout + stderr }
  })
  const verification = await phase('verifyLog', async () => {
    const { id } = await up.call<VerificationView>('POST', '/verifications', { topic: source })
    const get = () => up.call<VerificationView>('GET', `/verifications/${id}`)
    return untilEnded(get, verificationEnded, up.worker, signal)
  })
  const replay = await phase('replay', async () => {
    const { replayId } = await up.api.startReplay({ topic: source, targetTopic: target })
    return untilReplayEnded(up.api, replayId, up.worker, signal)
  })
  const [judgement, log] = await phase('judge', async () => {
    const reader = (await findJavaReader(run.kafkaClasspath)) ?? createKafkajsReader()
    const topics = { brokers: world.env.KAFKA_BROKERS, source, target }
    return Promise.all([
      judge(reader, topics, filled.tables, signal),
      withClient(database.ownerUrl, (client) => checkLog(client, source, filled.tables)),
    ])
  })
  return {
    ...{
      filled,
      archive,
      recovery,
      adoption,
      before,
      after,
      audit,
      verification,
      replay,
      log,
      judgement,
      phases,
    },
    notes: notesIn(outside.notes),
    seconds: (performance.now() - started) / 1000,
  }
}

const notesIn = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.note')).length

const headsOf = (url: string): Promise<readonly LogHead[]> =>
  withClient(url, async (client) => {
    const { rows } = await client.query<LogHead>(
      `select partition, size, next_offset as "nextOffset", encode(frontier, 'hex') as frontier
         from partition_logs order by partition, incarnation`,
    )
    return rows
  })

type Call = <T>(method: 'GET' | 'POST', path: string, body?: unknown) => Promise<T>

const callerOf =
  (url: string): Call =>
  async <T>(method: 'GET' | 'POST', path: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', 'x-requested-by': 'drill' },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return JSON.parse(text) as T
  }

async function untilEnded<T extends { readonly status: string }>(
  get: () => Promise<T>,
  ended: (status: T['status']) => boolean,
  worker: RoleProcess,
  signal: AbortSignal,
): Promise<T> {
  let view = await get()
  await watchUntil(
    async () => {
      view = await get()
      return ended(view.status) ? 1 : 0
    },
    1,
    {
      ...{ everyMs: 100, patienceMs: 120_000, what: 'waiting for an end', signal },
      check: () => worker.check(),
      onSample: () => undefined,
    },
  )
  return view
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A command as its own process, as an operator runs it. */
const runCommand = (
  entry: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const options = {
      cwd: projectRoot,
      env: { PATH: process.env['PATH'], ...env },
      maxBuffer: 1 << 26,
      signal,
    }
    execFile(process.execPath, [entry, ...args], options, (error, stdout, stderr) => {
      if (signal.aborted) reject(signal.reason)
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
