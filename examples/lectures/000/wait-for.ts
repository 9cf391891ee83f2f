// Row 3: an hour is too long to wait.
import { run, sleep, TimeoutError, waitFor } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const eternity = async () => {
    await sleep(3_600_000);
    print('yay!');
  };
  try {
    await waitFor(eternity, 1_000);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('timeout!');
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
