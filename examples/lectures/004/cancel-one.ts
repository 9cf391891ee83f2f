// Row 45: task 5 of 10 is cancelled, the others print. And error 2: a cancel is not an error to swallow.
import { createTask, isCancelled, rethrowCancelled, run, sleep, type Task, wait } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const payload = async (number: number) => {
    try {
      await sleep(1_000);
      print(`kek ${number}`);
    } catch (error) {
      rethrowCancelled(error); // In JavaScript `catch` catches cancels, too: first let them through.
      print(`error: ${error}`);
    }
  };
  const start = () => {
    const tasks = Array.from({ length: 10 }, (_, i) => createTask(() => payload(i)));
    tasks[5]?.cancel();
    return tasks;
  };

  const tasks = start();
  await wait(tasks);
  print(`cancelled: ${tasks.findIndex((task) => task.cancelled())}`);

  try {
    await allOf(start(), print);
  } catch (error) {
    print(isCancelled(error) ? 'CancelledError was passed on' : `${error}`);
  }
}

/** Awaits them in turn; what is no cancel is handled here. */
async function allOf(tasks: Task<void>[], print: Print): Promise<void> {
  try {
    for (const task of tasks) await task;
  } catch (error) {
    rethrowCancelled(error);
    print('error');
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
