// Row 36: computing does not become concurrent by `async`: it holds the loop, and a delay beside it is late. In threads it does not.
import { createTask, run } from '@aiokit/core';
import { toThread } from '@aiokit/core/threads';
import { isProgram, type Print } from '../program.ts';
import { delay, timed } from './timed.ts';

function count(to: number): number {
  let counter = 0;
  for (let i = 0; i < to; i++) counter++;
  return counter;
}

export async function main(print: Print, to = 1_000_000_000, seconds = 1): Promise<void> {
  const cpuBoundWork = timed(print, async function cpuBoundWork() {
    return count(to);
  });
  const inThread = timed(print, async function inThread() {
    return await toThread(count, to);
  });
  const shortDelay = timed(print, async function shortDelay() {
    return await delay(seconds);
  });

  for (const work of [cpuBoundWork, inThread]) {
    await timed(print, async function main() {
      const tasks = [createTask(work), createTask(work), createTask(shortDelay)];
      for (const task of tasks) await task;
    })();
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
