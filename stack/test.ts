import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Counts, closingLine, parseCounts } from '../test/support/closing-line.ts'
import { projectRoot } from './paths.ts'
import { type Stack, startStack } from './servers.ts'
import { testEnvironment } from './test-environment.ts'

const say = (message: string): boolean => process.stderr.write(`${message}\n`)
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const killAfterMs = 15_000

/** Vitest on real servers; its arguments are passed on. The last line of stdout counts what happened. */
async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'streaming-ingest-test-'))
  const summary = join(folder, 'counts.json')
  let stack: Stack | undefined
  let code = 1
  try {
    stack = await startStack({ onProgress: say })
    code = await runVitest(await testEnvironment(stack), summary)
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
  } finally {
    await stack?.stop()
  }
  const counts = readCounts(summary, code)
  rmSync(folder, { recursive: true, force: true })
  process.stdout.write(`${closingLine(counts)}\n`)
  return counts.failed > 0 && code === 0 ? 1 : code
}

/** A run that broke off counts as one failure at least, whatever the tests before it said. */
function readCounts(summary: string, code: number): Counts {
  const counts = existsSync(summary)
    ? parseCounts(readFileSync(summary, 'utf8'))
    : { passed: 0, failed: 0, skipped: 0 }
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
}

function runVitest(environment: Readonly<Record<string, string>>, summary: string): Promise<number> {
  const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs')
  const args = process.argv.slice(2)
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [vitest, 'run', ...args], {
      cwd: projectRoot,
      env: { ...process.env, ...environment, TEST_COUNTS_FILE: summary },
      stdio: 'inherit',
    })
    const release = passOnSignals(child)
    child.once('error', reject)
    child.once('close', (code) => {
      release()
      resolve(code ?? 1)
    })
  })
}

/** The servers must be stopped after vitest, so a signal goes to vitest and this process goes on. */
function passOnSignals(child: ChildProcess): () => void {
  let timer: NodeJS.Timeout | undefined
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal)
    timer ??= setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  }
  for (const signal of signals) process.on(signal, pass)
  return () => {
    clearTimeout(timer)
    for (const signal of signals) process.off(signal, pass)
  }
}

process.exitCode = await main()
