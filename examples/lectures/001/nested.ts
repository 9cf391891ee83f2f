// Row 14: a task is awaited like anything else, and gives what its function returns.
import { createTask, run } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

const nested = async () => 42;

export async function main(print: Print): Promise<void> {
  const task = createTask(nested);
  print(String(await task));
}

if (isProgram(import.meta)) await run(() => main(console.log));
