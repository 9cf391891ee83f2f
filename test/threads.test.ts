import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

test('the built threads find their worker, come from import() and require(), and end what is cancelled', async () => {
  const program = `
    import { createRequire } from 'node:module';
    import { CancelledError, getRunningLoop } from '@aiokit/core';
    import { ProcessPoolExecutor, toThread } from '@aiokit/core/threads';

    const required = createRequire(import.meta.url)('@aiokit/core/threads');
    const processes = new ProcessPoolExecutor({ maxWorkers: 1 });
    const busy = (cell) => { for (;;) Atomics.add(cell, 0, 1); };
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const job = toThread(busy, cell);
    while (Atomics.load(cell, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    job.cancel();
    const error = await job.catch((error) => error);
    const counted = Atomics.load(cell, 0);
    console.log(JSON.stringify([
      error instanceof CancelledError && Atomics.wait(cell, 0, counted, 50) === 'timed-out',
      await required.toThread((a, b) => a + b, 1, 2),
      await getRunningLoop().runInExecutor(null, () => 'thread'),
      (await processes.submit(() => process.pid)) !== process.pid,
      await processes.submit(() => { throw Object.assign(new RangeError('x'), { code: 'E_X' }); })
        .catch((error) => error instanceof RangeError && error.code),
    ]));
    await processes.shutdown();`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: join(import.meta.dirname, '..'),
    timeout: 30_000,
  });
  expect(JSON.parse(stdout)).toEqual([true, 3, 'thread', true, 'E_X']);
});
