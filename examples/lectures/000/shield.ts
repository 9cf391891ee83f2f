// Row 5: the wait ends, the work goes on. A task that nobody awaits would be cancelled when main ends: so it is awaited.
import { createTask, run, shield, sleep, TimeoutError, waitFor } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const eternity = createTask(async () => {
    await sleep(5_000);
    print('yay!');
  });
  try {
    await waitFor(shield(eternity), 1_000);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('timeout!');
    await eternity;
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
