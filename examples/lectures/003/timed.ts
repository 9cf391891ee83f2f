// Row 35: the notes' helpers `delay` and `async_timed`; a decorator of functions is a function of functions.
import { getRunningLoop, run, sleep } from '@aiokit/core';
import { isProgram, type Print } from '../program.ts';

/** Sleeps so many seconds, and returns how many. */
export async function delay(seconds: number, print: Print = () => {}): Promise<number> {
  print(`засыпаю на ${seconds} с`);
  await sleep(seconds * 1_000);
  print(`сон в течение ${seconds} с закончился`);
  return seconds;
}

/** The same function, telling when it begins and how long it took. */
export function timed<A extends unknown[], R>(
  print: Print,
  fn: (...args: A) => R | PromiseLike<R>,
): (...args: A) => Promise<R> {
  return async (...args) => {
    const loop = getRunningLoop();
    print(`выполняется ${fn.name} с аргументами (${args.join(', ')})`);
    const started = loop.time();
    try {
      return await fn(...args);
    } finally {
      print(`${fn.name} завершилась за ${((loop.time() - started) / 1_000).toFixed(4)} с`);
    }
  };
}

export async function main(print: Print): Promise<void> {
  const timedDelay = timed(print, delay);
  await timed(print, async function main() {
    await timedDelay(2);
    await timedDelay(3);
  })();
}

if (isProgram(import.meta)) await run(() => main(console.log));
