// Row 48: a library that only blocks goes to a pool, of threads or of processes; and a function made to run there always.
import { type Future, getRunningLoop, run } from '@aiokit/core';
import { ProcessPoolExecutor, ThreadPoolExecutor, toThread } from '@aiokit/core/threads';
import { isProgram, type Print } from '../program.ts';

/** Blocks, then tells where it ran. Self-contained. */
async function blocking(name: string, ms: number): Promise<string> {
  const { isMainThread } = await import('node:worker_threads');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return `${name} ran in ${isMainThread ? 'a process' : 'a thread'} of its own`;
}

/** The notes' decorator: the same function, in a thread at each call. */
function runInThreadpool<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => Future<Awaited<R>> {
  return (...args) => toThread(fn, ...args);
}

const loadFromDatabase = runInThreadpool(function loadFromDatabase(id: number) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  return { id, name: `row ${id}` };
});

export async function main(print: Print): Promise<void> {
  const loop = getRunningLoop();
  {
    await using pool = new ThreadPoolExecutor();
    print(await loop.runInExecutor(pool, blocking, 'the first', 50)); // Arguments follow the function: no `partial` is needed.
  }
  {
    await using pool = new ProcessPoolExecutor();
    print(await loop.runInExecutor(pool, blocking, 'the second', 50));
  }
  print(await loop.runInExecutor(null, blocking, 'the third', 50)); // The pool of toThread.
  print((await loadFromDatabase(7)).name);
}

if (isProgram(import.meta)) await run(() => main(console.log));
