// Row 15: the slowest comes last, its result stays first.
import { gather, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const late = async (seconds: number, message: string) => {
    await sleep(seconds * 1_000);
    print(message);
    return seconds;
  };
  const results = await gather([() => late(3, 'A'), () => late(1, 'B'), () => late(2, 'C')]);
  print(`[${results.join(', ')}]`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
