// Row 1: an async function, `await`, and `run` as the way in.
import { run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

async function compute(a: number, b: number, print: Print): Promise<number> {
  print('Compute...');
  await sleep(1_000);
  return a + b;
}

export async function main(print: Print): Promise<void> {
  const [a, b] = [1, 2];
  print(`${a} + ${b} = ${await compute(a, b, print)}`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
