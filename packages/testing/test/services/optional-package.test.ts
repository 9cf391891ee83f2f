import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forked } from './support/fork.ts';

/** A folder where neither pg nor ioredis is installed. */
let elsewhere: string;

beforeAll(async () => {
  elsewhere = await mkdtemp(join(tmpdir(), 'aiokit-test-elsewhere-'));
  await cp(fileURLToPath(new URL('../../src', import.meta.url)), join(elsewhere, 'src'), {
    recursive: true,
  });
  await writeFile(join(elsewhere, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(elsewhere, 'ask.ts'),
    `import * as services from './src/services/index.ts';
    const server = await services[process.argv[2]]({ server: 'private' });
    process.send(await server.database().then(() => 'created', (error) => error.message));
    process.disconnect();`,
  );
});

afterAll(() => rm(elsewhere, { recursive: true }));

describe('without the package', () => {
  it.each([
    ['postgres', 'pg'],
    ['redis', 'ioredis'],
  ])('%s() starts, and database() asks for "%s"', async (kind, name) => {
    await using asker = forked(join(elsewhere, 'ask.ts'), [kind]);
    expect(await asker.message()).toBe(`This needs the npm package "${name}": npm install --save-dev ${name}`);
  });
});
