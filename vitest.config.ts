import { defineConfig } from 'vitest/config'
import { ClosingLineReporter } from './test/support/closing-line.ts'

export default defineConfig({
  test: {
    // The threads pool crashes in Temporal's native bridge.
    pool: 'forks',
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', new ClosingLineReporter()],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
