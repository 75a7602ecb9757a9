import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // The threads pool crashes in Temporal's native bridge.
    pool: 'forks',
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
})
