// Row 24: what a Future is in each of its states.
import { CancelledError, createTask, InvalidStateError, run, sleep, waitFor } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

async function setAfter(ms: number, value: string): Promise<string> {
  await sleep(ms);
  return value;
}

export async function main(print: Print): Promise<void> {
  const future = createTask(() => setAfter(1_000, '... world'));
  print('hello ...');
  try {
    future.result();
  } catch (error) {
    if (error instanceof InvalidStateError) print('pending: InvalidStateError');
  }

  await waitFor(future, null);
  print(future.result());
  print(await future); // Or just so, as often as needed.
  print(`done: ${future.done()}, cancelled: ${future.cancelled()}`);

  const cancelled = createTask(() => setAfter(1_000, 'never'));
  cancelled.cancel();
  await cancelled.catch(() => {});
  for (const method of ['result', 'exception'] as const) {
    try {
      cancelled[method]();
    } catch (error) {
      if (error instanceof CancelledError) print(`${method}() of a cancelled one: CancelledError`);
    }
  }
  print(`done: ${cancelled.done()}, cancelled: ${cancelled.cancelled()}`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
