// Row 7: results as they come. `for await` gives values; leaving the loop would cancel what is left.
import { asCompleted, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

async function factorial(number: number): Promise<{ number: number; result: number }> {
  let result = 1;
  for (let i = 2; i <= number; i++) {
    await sleep(1_000);
    result *= i;
  }
  return { number, result };
}

export async function main(print: Print): Promise<void> {
  const factorials = [4, 3, 2].map((number) => () => factorial(number));
  for await (const { number, result } of asCompleted(factorials)) print(`Factorial(${number}) = ${result}`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
