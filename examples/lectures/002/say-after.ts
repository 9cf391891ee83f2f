// Row 19: in sequence 3 s, gathered 2 s.
import { gather, run, sleep } from '@aiokit/core';
import { isProgram, type Print, timeOfDay } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const sayAfter = async (ms: number, what: string) => {
    await sleep(ms);
    print(what);
  };
  print(`started at ${timeOfDay()}`);
  await sayAfter(1_000, 'hello');
  await sayAfter(2_000, 'world');
  print(`finished at ${timeOfDay()}`);

  print(`started at ${timeOfDay()}`);
  await gather([() => sayAfter(1_000, 'hello'), () => sayAfter(2_000, 'world')]);
  print(`finished at ${timeOfDay()}`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
