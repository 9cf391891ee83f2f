// Row 34: a Future by hand, and one that somebody else sets while we wait.
import { createTask, Future, run } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print): Promise<void> {
  const future = new Future<number>();
  print(`my_future готов? ${future.done()}`);
  future.setResult(42);
  print(`my_future готов? ${future.done()}`);
  print(`Результат ${future.result()}`);

  const later = new Future<number>();
  const setter = createTask(async () => {
    await delay(1);
    later.setResult(7);
  });
  print(`Результат ${await later}`);
  await setter;
}

if (isProgram(import.meta)) await run(() => main(console.log));
