import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readDrillOptions } from '../../bench/drill/options.ts'
import { withClient } from '../support/database.ts'
import { testServers } from '../support/servers.ts'
import { TestKafka } from '../support/source.ts'

const root = resolve(import.meta.dirname, '../..')

function drill(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'bench/drill.ts', '--json', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((done) => child.on('close', (code) => done({ code, stdout, stderr })))
}

describe('the drill', () => {
  let kafka: TestKafka
  beforeAll(async () => {
    kafka = await TestKafka.connect()
  })
  afterAll(() => kafka.close())

  it('destroys a database and brings all of it back, and leaves nothing behind', {
    timeout: 300_000,
  }, async () => {
    const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('streaming-ingest-drill-'))
    const before = folders()
    const { code, stdout, stderr } = await drill(['--events', '4000'])
    expect(code, stderr).toBe(0)
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    expect(result).toMatchObject({
      ...{ ok: true, problems: [], events: 4_000, archived: 2_000, recovered: 2_000, notes: 8 },
      ...{ missing: 0, doubled: 0, outOfOrder: 0, bytesDiffering: 0 },
    })
    expect(result.phases).toMatchObject({ 'recover from archive': expect.any(Number) })
    const [, name = ''] = /named (drill-[0-9a-f]{8})/.exec(stderr) ?? []
    expect(name).not.toBe('')
    const topics = (await kafka.admin.listTopics()).filter((topic) => topic.startsWith(name))
    const databases = await withClient(testServers().databaseAdminUrl, (client) =>
      client.query('select datname from pg_database where datname like $1', [`${name.replace('-', '_')}%`]),
    )
    expect([...topics, ...databases.rows]).toEqual([])
    expect(folders()).toEqual(before)
  })

  it('checks its options', () => {
    expect(readDrillOptions([])).toEqual({ events: 100_000, json: false })
    for (const wrong of [['--events', '5'], ['--event', '9'], ['more']])
      expect(() => readDrillOptions(wrong)).toThrow(TypeError)
  })
})
