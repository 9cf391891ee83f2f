import { defineConfig } from 'vitest/config';

/** `npx vitest packages/core` from the root. Tasks run each package by itself: see turbo.json. */
export default defineConfig({
  test: { projects: ['packages/*', 'examples'] },
});
