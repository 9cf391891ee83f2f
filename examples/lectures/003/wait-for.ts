// Row 33: `waitFor` cancels what is late; under `shield` only the wait ends.
import { createTask, run, shield, TimeoutError, waitFor } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print): Promise<void> {
  const late = createTask(() => delay(2));
  try {
    print(String(await waitFor(late, 1_000)));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('Тайм-аут!');
    print(`Задача была снята? ${late.cancelled()}`);
  }

  const task = createTask(() => delay(10));
  try {
    print(String(await waitFor(shield(task), 5_000)));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('Задача заняла более 5 с, скоро она закончится');
    print(String(await task));
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
