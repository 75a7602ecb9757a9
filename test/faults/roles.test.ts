import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RoleProcess } from '../../bench/run/roles.ts'

/** Stands where a role's sources are: gets ready, and ends by itself when it is told to. */
const program = `
import { createServer } from 'node:http'
createServer((request, response) => {
  response.end('ok')
  if (request.url === '/end') {
    console.log('the last words')
    process.exit(3)
  }
}).listen(Number(process.env.METRICS_PORT), '127.0.0.1')
`

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-roles-'))
  mkdirSync(join(folder, 'src'))
  writeFileSync(join(folder, 'src', 'main.ts'), program)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
})
afterEach(async () => {
  await RoleProcess.killAll()
  rmSync(folder, { recursive: true })
})

async function start(label: string): Promise<RoleProcess> {
  const logFile = join(folder, `${label}.log`)
  const role = await RoleProcess.start({ role: 'ingest', env: {}, logFile, label, sourceRoot: folder })
  await role.ready(AbortSignal.timeout(30_000))
  return role
}

const answers = (role: RoleProcess, withinMs: number): Promise<boolean> =>
  fetch(`${role.url}/`, { signal: AbortSignal.timeout(withinMs) }).then(
    (response) => response.ok,
    () => false,
  )

describe('a role as a process', () => {
  it('runs the sources that it is given, and says nothing while it is frozen', async () => {
    const role = await start('one')
    role.freeze()
    expect(await answers(role, 1_000)).toBe(false)
    role.thaw()
    expect(await answers(role, 20_000)).toBe(true)
  })

  it('can be stopped and killed while it is frozen', async () => {
    const [one, two] = [await start('one'), await start('two')]
    one.freeze()
    two.freeze()
    await Promise.all([one.stop(), two.kill()])
    expect([one.isRunning, two.isRunning]).toEqual([false, false])
  })

  it('shows its last words when it ended by itself', async () => {
    const role = await start('one')
    await fetch(`${role.url}/end`).catch(() => undefined)
    await expect.poll(() => role.isRunning, { timeout: 20_000 }).toBe(false)
    expect(() => role.check()).toThrow(/exit code 3.*the last words/s)
  })

  it('is gone when all are killed, whoever started it', async () => {
    const roles = [await start('one'), await start('two')]
    await RoleProcess.killAll()
    expect(roles.map(({ isRunning }) => isRunning)).toEqual([false, false])
  })
})
