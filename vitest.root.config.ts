import { defineConfig } from 'vitest/config';

/** The repository, and the built packages as a user's Node and TypeScript see them: no source condition here. */
export default defineConfig({
  test: { include: ['test/*.test.ts'], pool: 'forks', testTimeout: 60_000 },
});
