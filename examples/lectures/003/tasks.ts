// Row 30: a task runs while its creator goes on; three of 3 s take 3 s in all.
import { createTask, getRunningLoop, run } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print): Promise<void> {
  const sleepForThree = createTask(() => delay(3));
  print(sleepForThree[Symbol.toStringTag]); // At once: nobody has waited yet.
  print(String(await sleepForThree));

  const loop = getRunningLoop();
  const started = loop.time();
  const tasks = [1, 2, 3].map(() => createTask(() => delay(3)));
  for (const task of tasks) await task;
  print(`Время выполнения ${((loop.time() - started) / 1_000).toFixed(4)}`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
