import { createHash } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { runCommand } from './command.ts'
import type { NativeServer, Site } from './native.ts'
import { directoryKey } from './paths.ts'
import { installedBinaries, ownFolder, reachableBinaries } from './postgres-binaries.ts'
import { identify, stopProcess } from './process.ts'
import { readSecrets } from './state.ts'

const owner = 'postgres'

/** PostgreSQL refuses to run as root, so there it runs as this user, in a folder that this user can reach. */
interface Unprivileged {
  readonly uid: number
  readonly gid: number
}

interface Home {
  readonly binaries: string
  readonly data: string
  readonly user: Unprivileged | undefined
}

export const postgres: NativeServer = {
  name: 'postgres',
  portCount: 1,
  // Fast shutdown: SIGTERM would wait for every client to leave.
  stopSignal: 'SIGINT',
  // After a kill it replays up to max_wal_size first.
  readyLimitMs: 120_000,

  async prepare(site) {
    const home = openHome(site)
    await initialise(home, readSecrets(site.directory).owner)
    await removeStaleLock(home)
    return ([port]) => ({
      command: join(home.binaries, 'bin', 'postgres'),
      args: ['-D', home.data, ...settings(port ?? 0).flatMap((setting) => ['-c', setting])],
      logFile: join(site.directory, 'logs', 'postgres.log'),
      cwd: home.data,
      user: home.user,
    })
  },

  async check(site, [port]) {
    const client = new Client({
      connectionString: postgresUrl(owner, readSecrets(site.directory).owner, port ?? 0, 'postgres'),
      connectionTimeoutMillis: 10_000,
      query_timeout: 10_000,
    })
    // Without a listener, a connection that breaks later would end this process.
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query('SELECT 1')
    } finally {
      await client.end().catch(() => undefined)
    }
  },
}

/** Durable in full; memory and WAL sized for two cores shared with a broker and Temporal. */
function settings(port: number): string[] {
  return [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=on',
    'synchronous_commit=on',
    'full_page_writes=on',
    'shared_buffers=512MB',
    'max_wal_size=4GB',
    'max_connections=200',
  ]
}

export function postgresUrl(user: string, password: string, port: number, database: string): string {
  return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`
}

/** The two addresses of a database that the stack runs. */
export function postgresAddresses(site: Site, port: number): { admin: string; application: string } {
  const passwords = readSecrets(site.directory)
  return {
    admin: postgresUrl(owner, passwords.owner, port, 'postgres'),
    application: postgresUrl('streaming_ingest', passwords.application, port, 'streaming_ingest'),
  }
}

/** The folder that holds the data: within the stack directory, or under the temporary one where root runs us. */
export function postgresFolder(directory: string): string {
  if (process.getuid?.() !== 0) return join(directory, 'postgres')
  return join(tmpdir(), `streaming-ingest-${directoryKey(directory)}`)
}

function openHome(site: Site): Home {
  const installed = installedBinaries()
  const folder = postgresFolder(site.directory)
  const data = join(folder, `data-${installed.major}`)
  if (process.getuid?.() !== 0) return { binaries: installed.folder, data, user: undefined }
  ownFolder(folder)
  return { binaries: reachableBinaries(installed), data, user: nobody() }
}

function nobody(): Unprivileged {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) }
}

/**
 * Makes the data folder unless it is complete. The mark is written last and names the password's hash: a folder
 * that was left half-made, or whose stack directory (with its password) was deleted since, is made anew.
 */
async function initialise(home: Home, password: string): Promise<void> {
  const mark = join(home.data, 'initialised')
  const expected = createHash('sha256').update(password).digest('hex')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === expected) return
  await stopLeftOver(home)
  rmSync(home.data, { recursive: true, force: true })
  mkdirSync(home.data, { recursive: true, mode: 0o700 })
  const passwordFile = `${home.data}.password`
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  if (home.user !== undefined) {
    chownSync(home.data, home.user.uid, home.user.gid)
    chownSync(passwordFile, home.user.uid, home.user.gid)
  }
  const credentials = [`--username=${owner}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const result = await runCommand(
    join(home.binaries, 'bin', 'initdb'),
    ['-D', home.data, ...credentials, ...locale],
    { limitMs: 120_000, cwd: home.data, ...home.user },
  )
  rmSync(passwordFile, { force: true })
  if (!result.ok) throw new Error(`PostgreSQL's initdb failed:\n${result.output}`)
  writeFileSync(mark, expected, { mode: 0o600, flush: true })
}

/** A server whose record was lost still holds its folder: end it before the folder goes. */
async function stopLeftOver(home: Home): Promise<void> {
  const server = serverOf(home)
  if (server !== null) await stopProcess(server, 'SIGINT', 10_000)
}

/**
 * PostgreSQL removes the pid file of a dead server itself, but takes a foreign process that got the same pid for
 * its predecessor and refuses to start. A living one that does serve this folder is ended.
 */
async function removeStaleLock(home: Home): Promise<void> {
  await stopLeftOver(home)
  rmSync(join(home.data, 'postmaster.pid'), { force: true })
}

function serverOf(home: Home): ReturnType<typeof identify> {
  const path = join(home.data, 'postmaster.pid')
  if (!existsSync(path)) return null
  const pid = Number(readFileSync(path, 'utf8').split('\n')[0])
  return commandLineOf(pid).includes(home.data) ? identify(pid) : null
}

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
