// Row 4: what is cancelled may clean up, and `timeout` waits for it. The notes swallow the cancel there; `throw error` keeps it one.
import { isCancelled, run, sleep, TimeoutError, timeout } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const eternity = async () => {
    try {
      await sleep(3_600_000);
      print('yay!');
    } catch (error) {
      if (isCancelled(error)) {
        print('closed');
        await sleep(5_000);
      }
      throw error;
    }
  };
  try {
    await timeout(1_000, eternity);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    print('timeout!');
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
