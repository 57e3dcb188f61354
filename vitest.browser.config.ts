import { defineConfig } from 'vitest/config'

/** The tests that need Chromium: at `CHROMIUM_PATH`, or where Debian's package puts it. */
export default defineConfig({
  test: {
    include: ['src/**/*.browser-test.ts'],
    globalSetup: 'src/testing/global-setup.ts',
    maxWorkers: 1,
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
})
