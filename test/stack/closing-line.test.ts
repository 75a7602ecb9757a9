import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectRoot } from '../../stack/paths.ts'
import { closingLine, parseCounts } from '../support/closing-line.ts'
import { temporaryDirectory } from './temporary.ts'

describe('the closing line of a test run', () => {
  it('counts what passed and failed, and what was skipped when something was', () => {
    expect(closingLine({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed')
    expect(closingLine({ passed: 1, failed: 2, skipped: 3 })).toBe('3 skipped\n1 passed, 2 failed')
  })

  it('counts a file that cannot be loaded as a failure, and is the last line of stdout', () => {
    const { status, stdout } = runSamples({})
    expect(stdout.trimEnd().split('\n').slice(-2)).toEqual(['1 skipped', '2 passed, 3 failed'])
    expect(status).toBe(1)
  })

  it('is left to whoever started vitest when that one asks for the counts', () => {
    const file = join(temporaryDirectory(), 'counts.json')
    const { stdout } = runSamples({ TEST_COUNTS_FILE: file })
    expect(parseCounts(readFileSync(file, 'utf8'))).toEqual({ passed: 2, failed: 3, skipped: 1 })
    expect(stdout).not.toMatch(/^\d+ passed, \d+ failed/m)
  })
})

function runSamples(environment: Record<string, string>): { status: number | null; stdout: string } {
  const vitest = join(projectRoot, 'node_modules', 'vitest', 'vitest.mjs')
  const config = join(projectRoot, 'test', 'stack', 'fixtures', 'vitest.config.ts')
  // This run is inside vitest itself: its own variables must not reach the inner one.
  const {
    TEST_COUNTS_FILE: _,
    VITEST: __,
    VITEST_WORKER_ID: ___,
    VITEST_POOL_ID: ____,
    ...rest
  } = process.env
  return spawnSync(process.execPath, [vitest, 'run', '--config', config], {
    cwd: projectRoot,
    encoding: 'utf8',
    env: { ...rest, ...environment, NO_COLOR: '1' },
  })
}
