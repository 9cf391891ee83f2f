// Row 21, exercise 1: what is printed, and why? Each `await sleep` lets the other two go on, always in the same order.
import { gather, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const factorial = async (name: string, number: number) => {
    let f = 1;
    for (let i = 2; i <= number; i++) {
      print(`Task ${name}: Compute factorial(${i})...`);
      await sleep(1_000);
      f *= i;
    }
    print(`Task ${name}: factorial(${number}) = ${f}`);
  };
  await gather([() => factorial('A', 2), () => factorial('B', 3), () => factorial('C', 4)]);
}

if (isProgram(import.meta)) await run(() => main(console.log));
