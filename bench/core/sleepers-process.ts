import { AsyncLocalStorage } from 'node:async_hooks';
import { createTask, run, sleep } from '@aiokit/core';

const [who, count] = [process.argv[2], Number(process.argv[3])];
const DURATION = 3_000 + count / 100;
const context = new AsyncLocalStorage<object>();
const bareSleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

if (who === 'bare') {
  const sleeper = (i: number) => async () => {
    await bareSleep(DURATION + (i % 1000));
  };
  await measure(
    (i) => context.run({}, sleeper(i)),
    () => bareSleep(1),
  );
} else {
  const sleeper = (i: number) => async () => {
    await sleep(DURATION + (i % 1000));
  };
  await run(() =>
    measure(
      (i) => createTask(sleeper(i)),
      () => sleep(1),
    ),
  );
}

async function measure(start: (i: number) => PromiseLike<unknown>, settle: () => PromiseLike<unknown>): Promise<void> {
  const before = heap();
  const cpuBefore = process.cpuUsage();
  const tasks: PromiseLike<unknown>[] = [];
  for (let i = 0; i < count; i++) tasks.push(start(i));
  await settle();
  const { user, system } = process.cpuUsage(cpuBefore);
  const bytes = Math.round((heap() - before) / count);
  const cpuAgain = process.cpuUsage();
  for (const task of tasks) await task;
  const rest = process.cpuUsage(cpuAgain);
  console.log(JSON.stringify({ bytes, cpu: Number(((user + system + rest.user + rest.system) / count).toFixed(2)) }));
}

function heap(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
