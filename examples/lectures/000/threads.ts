// Row 9: three blocking factorials, each in a thread. (In Node threads do compute in parallel: there is no GIL.)
import { gather, run } from '@aiokit/core';
import { toThread } from '@aiokit/core/threads';
import { isProgram } from '../program.ts';

/** Self-contained: its text is sent to the worker. */
function factorial(name: string, number: number): number {
  let f = 1;
  for (let i = 2; i <= number; i++) {
    console.log(`Task ${name}: Compute factorial(${i})...`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100); // Python's time.sleep(0.1)
    f *= i;
  }
  console.log(`Task ${name}: factorial(${number}) = ${f}`);
  return f;
}

export async function main(): Promise<void> {
  console.log(`${Date.now() / 1_000} beg`);
  const results = await gather([
    () => toThread(factorial, 'A', 2),
    () => toThread(factorial, 'B', 3),
    () => toThread(factorial, 'C', 4),
  ]);
  console.log(`${Date.now() / 1_000} end`, results);
}

if (isProgram(import.meta)) await run(main);
