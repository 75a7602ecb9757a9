import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { installKey, needsInstall, readCommand } from '../../stack/bootstrap.mjs'
import { projectRoot } from '../../stack/paths.ts'

describe('what the bootstrap is asked to do', () => {
  it.each([
    ['demo', 'bench/demo.ts'],
    ['dev', 'stack/dev.ts'],
    ['stack', 'stack/cli.ts'],
    ['test', 'stack/test.ts'],
    ['bench', 'bench/bench.ts'],
    ['faults', 'bench/faults.ts'],
    ['drill', 'bench/drill.ts'],
  ])('%s runs %s with the arguments as they came', (name, entry) => {
    const args = ['--events', '1000', 'a b', '--']
    expect(readCommand([name, ...args])).toEqual({ kind: 'run', entry, args })
  })

  it('drops the separator that npm passes on when it is given twice', () => {
    expect(readCommand(['stack', '--', 'up'])).toEqual({ kind: 'run', entry: 'stack/cli.ts', args: ['up'] })
  })

  it.each([[[]], [['up']], [['constructor']]])('names the commands when it gets %j', (argv) => {
    const command = readCommand(argv)
    expect(command.kind).toBe('usage')
    expect(command).toHaveProperty('message', expect.stringContaining('demo|dev|stack|test|bench|faults'))
  })

  it('ends with exit code 2 on an unknown command, before it installs anything', () => {
    const script = join(projectRoot, 'stack', 'bootstrap.mjs')
    const { status, stderr } = spawnSync(process.execPath, [script, 'nonsense'], { encoding: 'utf8' })
    expect(stderr).toContain('there is no command "nonsense"')
    expect(status).toBe(2)
  })
})

describe('whether an installation is needed', () => {
  let directory: string
  const path = (...parts: string[]): string => join(directory, ...parts)
  const at = (file: string, seconds: number): void => utimesSync(path(file), seconds, seconds)

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bootstrap-test-'))
    mkdirSync(path('node_modules', 'node', 'bin'), { recursive: true })
    mkdirSync(path('patches'))
    for (const name of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'patches/one.patch']) {
      writeFileSync(path(name), name)
    }
    writeFileSync(path('node_modules', 'node', 'bin', 'node'), '')
    writeFileSync(path('node_modules', '.modules.yaml'), '')
    at('pnpm-lock.yaml', 1_000)
    at('node_modules/.modules.yaml', 2_000)
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('is not when node_modules is newer than the lock file', () => {
    expect(needsInstall(directory)).toBe(false)
  })

  it('is when node_modules is absent', () => {
    rmSync(path('node_modules'), { recursive: true })
    expect(needsInstall(directory)).toBe(true)
  })

  it('is when an installation broke off', () => {
    rmSync(path('node_modules', '.modules.yaml'))
    expect(needsInstall(directory)).toBe(true)
  })

  it('is when the lock file is newer, unless this very one was installed', () => {
    at('pnpm-lock.yaml', 3_000)
    expect(needsInstall(directory)).toBe(true)
    writeFileSync(path('node_modules', '.installed-for'), installKey(directory))
    expect(needsInstall(directory)).toBe(false)
    writeFileSync(path('pnpm-lock.yaml'), 'another')
    at('pnpm-lock.yaml', 3_000)
    expect(needsInstall(directory)).toBe(true)
  })

  it('depends on patches too', () => {
    const before = installKey(directory)
    writeFileSync(path('patches', 'one.patch'), 'changed')
    expect(installKey(directory)).not.toBe(before)
  })
})
