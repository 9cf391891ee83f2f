// Row 8: a function that blocks runs in a thread, and the loop goes on meanwhile.
import { gather, run, sleep } from '@aiokit/core';
import { toThread } from '@aiokit/core/threads';
import { isProgram, timeOfDay } from '../program.ts';

/** Self-contained: its text is sent to the worker. */
function blockingIo(): void {
  const time = () => new Date().toTimeString().slice(0, 8);
  console.log(`${time()} block IO`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_000); // Python's time.sleep(5)
  console.log(`${time()} unblock IO`);
}

export async function main(): Promise<void> {
  console.log(`${timeOfDay()} start async`);
  await gather([() => toThread(blockingIo), () => sleep(5_000)]);
  console.log(`${timeOfDay()} finish async`);
}

if (isProgram(import.meta)) await run(main);
