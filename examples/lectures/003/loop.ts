// Row 38: a loop made by hand; and a callback for the loop's next step.
import { getRunningLoop, Runner, type RunOptions } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print, options?: RunOptions): Promise<void> {
  const runner = new Runner(options);
  try {
    await runner.run(async () => {
      getRunningLoop().callSoon(() => print('Меня вызовут в близжайшем будущем'));
      print('main ждёт');
      await delay(1);
    });
  } finally {
    await runner.close(); // Or `await using runner = new Runner()`.
  }
}

if (isProgram(import.meta)) await main(console.log);
