// Row 16: the same with a group, which would cancel the rest if one failed.
import { run, sleep, taskGroup } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

export async function main(print: Print): Promise<void> {
  const late = async (seconds: number, message: string) => {
    await sleep(seconds * 1_000);
    print(message);
    return seconds;
  };
  await taskGroup((group) => {
    group.createTask(() => late(3, 'A'));
    group.createTask(() => late(1, 'B'));
    group.createTask(() => late(2, 'C'));
  });
  print('Done');
}

if (isProgram(import.meta)) await run(() => main(console.log));
