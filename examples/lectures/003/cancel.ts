// Row 32: a task is watched for 5 s, then cancelled.
import { createTask, isCancelled, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print): Promise<void> {
  const longTask = createTask(() => delay(10));
  for (let seconds = 0; !longTask.done() && seconds < 5; seconds++) {
    print('Задача не закончилась, следующая проверка через секунду');
    await sleep(1_000);
  }
  longTask.cancel();
  try {
    await longTask;
  } catch (error) {
    if (!isCancelled(error)) throw error;
    print('Задача снята');
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
