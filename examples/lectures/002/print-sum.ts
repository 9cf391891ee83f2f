// Row 20: an async function that awaits another one.
import { run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const compute = async (a: number, b: number) => {
    print('Compute...');
    await sleep(1_000);
    return a + b;
  };
  const printSum = async (a: number, b: number) => {
    print(`${a} + ${b} = ${await compute(a, b)}`);
  };
  await printSum(1, 2);
}

if (isProgram(import.meta)) await run(() => main(console.log));
