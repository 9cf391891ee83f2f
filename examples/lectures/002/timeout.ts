// Row 22: as row 3, with `timeout`, which limits a whole block.
import { run, sleep, TimeoutError, timeout } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  try {
    await timeout(1_000, async () => {
      await sleep(3_600_000);
      print('yay!');
    });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('timeout!');
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
