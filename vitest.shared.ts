import { defineConfig } from 'vitest/config';

/** Packages see each other's source: nothing has to be built to be tested. */
const conditions = ['@aiokit/source', 'node'];

/** What every package's vitest.config.ts is. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['**/*.test.ts'],
    // A process per file: tests send signals, start servers, and count what is left behind.
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--expose-gc'],
    // A test that starts a server waits for it on a loaded machine. A hang is a failure all the same.
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
