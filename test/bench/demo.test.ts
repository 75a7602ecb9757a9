import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDemoOptions } from '../../bench/demo/options.ts'
import { withClient } from '../support/database.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const root = resolve(import.meta.dirname, '../..')

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the demo on the test servers; `onText` sees what it has said on stderr so far. */
function demo(
  args: readonly string[],
  onText: (text: string, pid: number) => void = () => undefined,
): Promise<Run> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'bench/demo.ts', '--json', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    onText(stderr, child.pid ?? 0)
  })
  return new Promise((done) => child.on('close', (code) => done({ code, stdout, stderr })))
}

const nameIn = (text: string): string => /named (demo-[0-9a-f]{8})/.exec(text)?.[1] ?? 'no name'

describe('the demo', () => {
  let kafka: TestKafka
  beforeAll(async () => {
    kafka = await TestKafka.connect()
  })
  afterAll(() => kafka.close())

  async function leftovers(name: string): Promise<string[]> {
    const topics = await kafka.admin.listTopics()
    const databases = await withClient(testServers().databaseAdminUrl, (client) =>
      client.query('select datname from pg_database where datname like $1', [`${name.replace('-', '_')}%`]),
    )
    return [...topics.filter((topic) => topic.startsWith(name)), ...databases.rows.map((row) => row.datname)]
  }

  it('does the main job with a killed worker and leaves nothing behind', { timeout: 300_000 }, async () => {
    const { code, stdout, stderr } = await demo(['--events', '10000'])
    expect(code, stderr).toBe(0)
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    expect(result).toMatchObject({
      ok: true,
      events: 10_000,
      kills: 1,
      missing: 0,
      doubled: 0,
      outOfOrder: 0,
      bytesDiffering: 0,
    })
    expect(result.accepted + result.deadLetters).toBe(10_000)
    expect(result.deadLetters).toBeGreaterThan(150)
    expect(result.killedAt).toBeGreaterThan(0)
    expect(result.killedAt).toBeLessThan(result.accepted)
    expect(result.ingestEventsPerSecond).toBeGreaterThan(0)
    expect(result.replayEventsPerSecond).toBeGreaterThan(0)
    expect(await leftovers(nameIn(stderr))).toEqual([])
  })

  it('takes everything away when it is interrupted', { timeout: 120_000 }, async () => {
    let sent = false
    const { code, stdout, stderr } = await demo(['--events', '50000'], (text, pid) => {
      if (sent || !text.includes('starting ingest')) return
      sent = true
      process.kill(pid, 'SIGINT')
    })
    expect(code, stderr).toBe(130)
    expect(stdout).toBe('')
    expect(nameIn(stderr)).toMatch(/^demo-/)
    expect(await leftovers(nameIn(stderr))).toEqual([])
  })
})

describe('its options', () => {
  it('are checked', () => {
    expect(readDemoOptions([])).toEqual({ events: 200_000, keep: false, json: false, stop: false })
    expect(readDemoOptions(['--events', '20000', '--keep']).events).toBe(20_000)
    for (const wrong of [['--events', '5'], ['--events', '1e6'], ['--event', '9'], ['more']])
      expect(() => readDemoOptions(wrong)).toThrow(TypeError)
  })
})
