import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runTest } from '@aiokit/testing';
import { expect, test } from 'vitest';

const endsSteps = Number(process.versions.node.split('.')[0]) >= 24;

test('a step that never yields is named, with its task and place, and ended', async () => {
  const file = fileURLToPath(new URL('./watchdog-runner.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@aiokit/source', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const told = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
        if (/spinForEver.*\n/.test(output)) resolve();
      });
    }
  });
  const exit = once(child, 'exit');
  await Promise.race([told, exit]);
  // On Node 22 a step cannot be ended from outside: there the report goes to stderr, and the runner's own limit is left.
  if (!endsSteps) child.kill('SIGKILL');
  await exit;
  expect(output).toMatch(
    /A step of task importer has held the process for \d+ ms without yielding:\n\s+at spinForEver \(file:.*watchdog-runner\.ts:\d+:\d+\)/,
  );
  if (endsSteps) expect(output).toMatch(/^StuckStepError /m);
});

test('a step that takes a while is left alone', async () => {
  await runTest(() => {
    const end = performance.now() + 100;
    while (performance.now() < end);
  });
});
