import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { postgresFolder } from '../../stack/postgres.ts'
import { identify, isAlive, startOf } from '../../stack/process.ts'
import { keepStack, type StackOptions, startStack, stopStack } from '../../stack/servers.ts'
import { readState, type StackState, writeState } from '../../stack/state.ts'
import { testServers } from '../support/servers.ts'
import { temporaryDirectory } from './temporary.ts'

/** A PostgreSQL of this file's own: the fastest of the three to start, and the one with the most ways to fail. */
const directory = mkdtempSync(join(tmpdir(), 'stack-test-'))
const options: StackOptions = { directory, only: ['postgres'], nativeOnly: true, environment: {} }

afterEach(() => stopStack(options))
afterAll(() => {
  rmSync(postgresFolder(directory), { recursive: true, force: true })
  rmSync(directory, { recursive: true, force: true })
})

function pidOf(): number {
  const server = readState(directory).servers.postgres
  if (server?.kind !== 'native') throw new Error('no native PostgreSQL is recorded')
  return server.process.pid
}

const dataFolder = join(postgresFolder(directory), 'data-18')

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

describe('a stack that starts its servers itself', () => {
  it('is durable, keeps its password to itself, and leaves nothing running', async () => {
    const stack = await startStack(options)
    const settings = await query(
      stack.env.DATABASE_ADMIN_URL,
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')`,
    )
    expect(settings).toHaveLength(3)
    for (const row of settings) expect(row).toMatchObject({ setting: 'on' })
    const secrets = join(directory, 'secrets.json')
    expect(statSync(secrets).mode & 0o777).toBe(0o600)
    const state = readFileSync(join(directory, 'state.json'), 'utf8')
    for (const password of Object.values(JSON.parse(readFileSync(secrets, 'utf8')))) {
      expect(state).not.toContain(password)
    }
    const wrong = new URL(stack.env.DATABASE_ADMIN_URL)
    wrong.password = 'wrong'
    await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/)
    expect(new URL(stack.env.DATABASE_ADMIN_URL).hostname).toBe('127.0.0.1')
    const pid = pidOf()
    expect(stack.pids).toEqual({ postgres: pid })
    await stack.stop()
    expect(startOf(pid)).toBeNull()
    expect(readState(directory).servers).toEqual({})
  })

  it('comes back after kill -9 at the same address with its data', async () => {
    const first = await startStack(options)
    await query(first.env.DATABASE_ADMIN_URL, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS n')
    process.kill(pidOf(), 'SIGKILL')
    const second = await startStack(options)
    expect(second.env).toEqual(first.env)
    expect(second.pids).not.toEqual(first.pids)
    expect(await query(second.env.DATABASE_ADMIN_URL, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
  })

  it('is shared by who starts it meanwhile, and stops with the last one', async () => {
    const [first, second] = await Promise.all([startStack(options), startStack(options)])
    const pid = pidOf()
    expect(second.env).toEqual(first.env)
    await first.stop()
    expect(startOf(pid)).not.toBeNull()
    await second.stop()
    expect(startOf(pid)).toBeNull()
  })

  it('is left alone by its users when it is kept, until it is told to go down', async () => {
    await keepStack(options)
    const pid = pidOf()
    const stack = await startStack(options)
    expect(stack.pids.postgres).toBe(pid)
    await stack.stop()
    expect(startOf(pid)).not.toBeNull()
    expect(await stopStack(options)).toEqual(['postgres'])
    expect(startOf(pid)).toBeNull()
  })

  it('forgets users that died, and never touches a foreign process with a recorded pid', async () => {
    const gone = { pid: process.pid, started: 'another boot/1' }
    const state: StackState = {
      kept: false,
      users: [gone],
      servers: { postgres: { kind: 'native', process: gone, ports: [1] } },
      lastPorts: {},
    }
    writeState(directory, state)
    const stack = await startStack(options)
    expect(stack.pids.postgres).not.toBe(process.pid)
    expect(readState(directory).users).toEqual([identify(process.pid)])
    await stack.stop()
    expect(readState(directory).servers).toEqual({})
  })

  it('recovers from a foreign process behind the pid file, a lost record and half-made data', async () => {
    const first = await startStack(options)
    await query(first.env.DATABASE_ADMIN_URL, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS n')
    const orphan = identify(pidOf())
    // The record is lost while the server runs: it is found by its pid file and ended.
    rmSync(join(directory, 'state.json'))
    const second = await startStack(options)
    expect(orphan !== null && isAlive(orphan)).toBe(false)
    expect(await query(second.env.DATABASE_ADMIN_URL, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
    await second.stop()

    const pidFile = join(dataFolder, 'postmaster.pid')
    writeFileSync(pidFile, `${process.pid}\n${dataFolder}\n`)
    const third = await startStack(options)
    expect(await query(third.env.DATABASE_ADMIN_URL, 'SELECT n FROM kept')).toEqual([{ n: 7 }])
    await third.stop()

    // An initialisation that broke off: no mark, files missing.
    rmSync(join(dataFolder, 'initialised'))
    rmSync(join(dataFolder, 'global'), { recursive: true })
    const fourth = await startStack(options)
    expect(await query(fourth.env.DATABASE_ADMIN_URL, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
  })

  it('says which variable is wrong when nobody answers where the environment points, and never the password', async () => {
    const url = 'postgres://boss:secret@127.0.0.1:1/postgres'
    const failed = startStack({ ...options, environment: { DATABASE_ADMIN_URL: url } })
    await expect(failed).rejects.toThrow(/^nobody answers at 127\.0\.0\.1:1, where DATABASE_ADMIN_URL/)
    await failed.catch((error: unknown) => expect(String(error)).not.toContain('secret'))
  })

  it('uses the servers that the environment names and starts none', async () => {
    const { kafkaBrokers, databaseAdminUrl, temporalAddress } = testServers()
    const environment = {
      KAFKA_BROKERS: kafkaBrokers,
      DATABASE_ADMIN_URL: databaseAdminUrl,
      TEMPORAL_ADDRESS: temporalAddress,
    }
    const elsewhere = temporaryDirectory()
    const stack = await startStack({ directory: elsewhere, environment })
    expect(stack.env).toMatchObject(environment)
    expect(stack.pids).toEqual({})
    await stack.stop()
    expect(existsSync(join(elsewhere, 'logs'))).toBe(false)
  })
})
