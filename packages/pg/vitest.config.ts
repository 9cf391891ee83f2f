import { defineConfig, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.ts';

/** Everything twice: on the PostgreSQL of the machine (or AIOKIT_TEST_POSTGRES_VERSION), and on 18. */
export default mergeConfig(
  shared,
  defineConfig({
    test: {
      projects: [
        { extends: true, test: { name: 'pg' } },
        {
          extends: true,
          test: {
            name: 'PostgreSQL 18',
            env: { AIOKIT_TEST_POSTGRES_VERSION: '18' },
          },
        },
      ],
    },
  }),
);
