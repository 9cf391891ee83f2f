/**
 * What a test in virtual time costs beyond vitest's own, and virtual time beside vitest's fake timers: does a real answer beat
 * a timeout of an hour?
 *
 *   node --conditions=@aiokit/source testing.bench.ts
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gather, run, sleep } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';

const TIMERS = 10_000;
const DAY = 86_400_000;

async function virtualDay(): Promise<void> {
  const before = process.cpuUsage();
  const sleeper = (i: number) => () => sleep(((i * 7_919) % TIMERS) * (DAY / TIMERS));
  await run(() => gather(Array.from({ length: TIMERS }, (_, i) => sleeper(i))), { clock: new VirtualClock() });
  const { user, system } = process.cpuUsage(before);
  console.log(`a virtual day with ${TIMERS} timers: ${((user + system) / 1e6).toFixed(2)} s of CPU`);
}

/** In vitest, as a user has it. What they measure is printed by the files themselves. */
function measureInVitest(): void {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const config = join(import.meta.dirname, 'testing/vitest.config.ts');
  const { stdout, stderr, status } = spawnSync(process.execPath, [vitest, 'run', '--config', config], {
    cwd: join(import.meta.dirname, 'testing'),
    encoding: 'utf8',
  });
  const lines = stdout.split('\n').filter((line) => line.startsWith('> '));
  console.log(lines.map((line) => line.slice(2)).join('\n'));
  if (status !== 0) console.error(stdout + stderr);
}

await virtualDay();
measureInVitest();
