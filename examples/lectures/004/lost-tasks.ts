// Row 44: what becomes of work that nobody awaits.
import { createTask, type RunOptions, run, sleep, taskGroup } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print, options?: RunOptions): Promise<void> {
  const payload = async () => {
    await sleep(10_000);
    print('kek');
  };

  // "coroutine 'kek' was never awaited": there is no such thing here. A call runs, so a promise instead of a function is
  // refused, with the reason.
  try {
    createTask(Promise.resolve() as never);
  } catch (error) {
    print(`${(error as Error).name}: ${(error as Error).message}`);
  }

  // Main ends, and its tasks with it: they are cancelled, and nothing is printed. In debug mode each one is named.
  await run(() => {
    for (let i = 0; i < 10; i++) createTask(payload);
  }, options);
  print('nothing was printed');

  // The right version: a group cannot be left before its tasks have ended.
  await run(
    () =>
      taskGroup((group) => {
        for (let i = 0; i < 10; i++) group.createTask(payload);
      }),
    options,
  );
}

if (isProgram(import.meta)) await main(console.log);
