// Row 18: a loop made by hand, used, and closed. `await using` closes it also when main fails.
import { Runner, type RunOptions, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print, options?: RunOptions): Promise<void> {
  await using runner = new Runner(options);
  await runner.run(async () => {
    print('hello');
    await sleep(1_000);
    print('world');
  });
}

if (isProgram(import.meta)) await main(console.log);
