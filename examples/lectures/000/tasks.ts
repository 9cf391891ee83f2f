// Row 6: tasks start by themselves, in the order in which they were made, and run side by side.
import { createTask, run, sleep } from '@aiokit/core';
import { isProgram, type Print, timeOfDay } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const say = async (word: string, ms: number) => {
    print(`heh${word}`);
    await sleep(ms);
    print(word);
  };
  const first = createTask(() => say('Hi_1', 2_000));
  const second = createTask(() => say('Hi_2', 1_000));

  print(timeOfDay());
  await first;
  await second;
  print(timeOfDay());
}

if (isProgram(import.meta)) await run(() => main(console.log));
