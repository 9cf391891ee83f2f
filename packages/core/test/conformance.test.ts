/** See conformance/README.md. Without a Python 3.11 or newer the comparison says so and compares nothing. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('200 random programs do the same as on asyncio', async () => {
  const main = fileURLToPath(new URL('../../../conformance/main.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@aiokit/source', main, '200', '5']);
  expect(stdout).toMatch(/: 0 differ|nothing was compared/);
}, 60_000);
