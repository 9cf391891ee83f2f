import { fileURLToPath } from 'node:url';
import { mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The version of ioredis that the tests run on. */
    ioredis: 5 | 6;
  }
}

/** These stand on public commands alone: one version is enough. */
const ABOVE_IOREDIS = ['consume', 'fencing', 'lock', 'sentinel', 'virtual-time'].map((name) => `**/${name}.test.ts`);

/** Everything that touches ioredis runs on both of its versions: `ioredis-5` is the older one. */
const olderIoredis = { resolve: { alias: { ioredis: fileURLToPath(import.meta.resolve('ioredis-5')) } } };

export default mergeConfig(shared, {
  test: {
    projects: [
      { extends: true, test: { name: 'ioredis 6', provide: { ioredis: 6 } } },
      { extends: true, ...olderIoredis, test: { name: 'ioredis 5', provide: { ioredis: 5 }, exclude: ABOVE_IOREDIS } },
    ],
  },
});
