// Row 2: three at once with `gather`; results come in the order of the arguments, errors as values.
import { gather, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

async function factorial(name: string, number: number, print: Print): Promise<number> {
  let f = 1;
  for (let i = 2; i <= number; i++) {
    print(`Task ${name}: Compute factorial(${i})...`);
    await sleep(1_000);
    f *= i;
  }
  print(`Task ${name}: factorial(${number}) = ${f}`);
  return f;
}

export async function main(print: Print): Promise<void> {
  const results = await gather(
    [() => factorial('A', 2, print), () => factorial('B', 3, print), () => factorial('C', 4, print)],
    { returnExceptions: true },
  );
  print(`[${results.join(', ')}]`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
