import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** The line that a test run ends with: `12 passed, 0 failed`, behind one that says `3 skipped` when some were. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${skipped > 0 ? `${skipped} skipped\n` : ''}${passed} passed, ${failed} failed`
}

export function parseCounts(json: string): Counts {
  const value: Partial<Record<keyof Counts, unknown>> = JSON.parse(json)
  return { passed: Number(value.passed), failed: Number(value.failed), skipped: Number(value.skipped) }
}

/** Tests by outcome; a file that could not be loaded and an error outside of every test are failures too. */
export function countTests(modules: readonly TestModule[], errorsOutside: number): Counts {
  const counts = { passed: 0, failed: errorsOutside, skipped: 0 }
  for (const module of modules) {
    counts.failed += module.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      // Pending: the run was cut off before it came to this test.
      if (state === 'pending') counts.skipped += 1
      else counts[state] += 1
    }
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
  }
  return counts
}

/** Prints the closing line, or leaves the counts for whoever started vitest to print after everything else. */
export class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = countTests(modules, errors.length)
    const file = process.env['TEST_COUNTS_FILE']
    if (file !== undefined && file !== '') writeFileSync(file, JSON.stringify(counts))
    else process.stdout.write(`${closingLine(counts)}\n`)
  }
}
