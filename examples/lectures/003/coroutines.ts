// Row 29: `run` gives the result; an async function that never waits is awaited all the same; two awaits come one after the other.
import { run } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';
import { delay } from './timed.ts';

const addOne = async (number: number) => number + 1;

async function helloWorldMessage(): Promise<string> {
  await delay(1);
  return 'Hello world!';
}

export async function main(print: Print): Promise<void> {
  const result = await addOne(1);
  print(`Результат сопрограммы равен ${result}, а его тип равен ${typeof result}`);

  const onePlusOne = await addOne(1);
  const twoPlusOne = await addOne(2);
  print(String(onePlusOne));
  print(String(twoPlusOne));

  const message = await helloWorldMessage(); // main waits here for a second …
  print(String(await addOne(1))); // … and only then goes on: in sequence.
  print(message);
}

if (isProgram(import.meta)) await run(() => main(console.log));
