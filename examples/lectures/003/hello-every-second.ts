// Row 31: other code runs while two delays are under way.
import { createTask, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

export async function main(print: Print): Promise<void> {
  const helloEverySecond = async () => {
    for (let i = 0; i < 2; i++) {
      await sleep(1_000);
      print('Пока я жду, исполняется другой код');
    }
  };
  const first = createTask(() => delay(3));
  const second = createTask(() => delay(3));
  await helloEverySecond();
  await first;
  await second;
}

if (isProgram(import.meta)) await run(() => main(console.log));
