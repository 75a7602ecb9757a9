import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { projectRoot } from '../../stack/paths.ts'
import { lastingPorts } from '../../stack/ports.ts'
import { testServers } from '../support/servers.ts'

/** What the Dockerfile's last stage puts into /app, here without an engine: the build, drizzle/, package.json. */
const app = mkdtempSync(join(tmpdir(), 'image-test-'))
const name = `image_test_${randomBytes(4).toString('hex')}`
const node = join(projectRoot, 'node_modules', 'node', 'bin', 'node')

beforeAll(() => {
  const tsc = join(projectRoot, 'node_modules', '.bin', 'tsc')
  execFileSync(tsc, ['-p', join(projectRoot, 'tsconfig.build.json'), '--outDir', join(app, 'dist')])
  cpSync(join(projectRoot, 'drizzle'), join(app, 'drizzle'), { recursive: true })
  cpSync(join(projectRoot, 'package.json'), join(app, 'package.json'))
  symlinkSync(join(projectRoot, 'node_modules'), join(app, 'node_modules'))
  execFileSync(node, [join(app, 'dist', 'src', 'replay', 'bundle.js')], { cwd: app })
}, 180_000)

afterAll(async () => {
  rmSync(app, { recursive: true, force: true })
  await asOwner(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  await asOwner(`DROP ROLE IF EXISTS ${name}`)
})

describe('the built platform, laid out as in the image', () => {
  it('imports nothing but what the production installation has', () => {
    const manifest: { dependencies: Record<string, string> } = JSON.parse(
      readFileSync(join(projectRoot, 'package.json'), 'utf8'),
    )
    const installed = new Set(Object.keys(manifest.dependencies))
    const files = globSync('dist/{src,workflows,activities,drizzle}/**/*.js', { cwd: app })
    expect(files.length).toBeGreaterThan(50)
    for (const file of files) {
      const source = readFileSync(join(app, file), 'utf8')
      for (const [, specifier = ''] of source.matchAll(
        /^(?:import|export) (?:[^'"]* from )?['"]([^'".][^'"]*)['"]/gm,
      )) {
        const known = specifier.startsWith('node:') || builtinModules.includes(specifier)
        const packageName = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/')
        expect(known || installed.has(packageName), `${file} imports ${specifier}`).toBe(true)
      }
    }
  })

  it('migrates, becomes ready in every role at once, and ends within ten seconds of SIGTERM', async () => {
    const [port = 0] = await lastingPorts(1)
    const environment = environmentOf(port)
    execFileSync(node, ['dist/src/store/migrate-cli.js'], { cwd: app, env: environment })
    const platform = spawn(node, ['--enable-source-maps', 'dist/src/main.js', 'all'], {
      cwd: app,
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      let said = ''
      const ready = Promise.withResolvers<void>()
      platform.once('exit', (code) => ready.reject(new Error(`ended with ${code}:\n${said}`)))
      platform.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes('"msg":"ready"')) ready.resolve()
      })
      await ready.promise
      const answer = await fetch(`http://127.0.0.1:${port}/health`)
      expect(answer.status).toBe(200)
      const readiness = await (await fetch(`http://127.0.0.1:${port}/health/ready`)).json()
      expect(readiness).toMatchObject({
        checks: { database: { state: 'up' }, kafka: { state: 'up' }, temporal: { state: 'up' } },
      })
      const exited = once(platform, 'exit')
      const asked = Date.now()
      platform.kill('SIGTERM')
      const [code] = await exited
      expect(said).toContain('"msg":"stopped"')
      expect(code).toBe(0)
      expect(Date.now() - asked).toBeLessThan(10_000)
    } finally {
      platform.kill('SIGKILL')
    }
  })
})

function environmentOf(port: number): Record<string, string> {
  const { kafkaBrokers, databaseAdminUrl, temporalAddress } = testServers()
  const database = new URL(databaseAdminUrl)
  database.username = name
  database.password = randomBytes(16).toString('hex')
  database.pathname = `/${name}`
  return {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    HOST: '0.0.0.0',
    PORT: String(port),
    KAFKA_BROKERS: kafkaBrokers,
    KAFKA_TOPICS: name,
    KAFKA_GROUP_ID: name,
    DATABASE_ADMIN_URL: databaseAdminUrl,
    DATABASE_URL: database.href,
    TEMPORAL_ADDRESS: temporalAddress,
    TEMPORAL_TASK_QUEUE: name,
  }
}

async function asOwner(sql: string): Promise<void> {
  const client = new Client({ connectionString: testServers().databaseAdminUrl })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
