import { defineConfig } from 'vitest/config'

/** The tests that need a `redis-server` on the PATH. */
export default defineConfig({
  test: {
    include: ['src/**/*.redis-test.ts'],
    globalSetup: 'src/testing/global-setup.ts',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
