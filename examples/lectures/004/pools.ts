// Row 42: 500 requests by a pool of processes, by a pool of threads (each worker asks, and waits for its answer), and by one
// thread whose tasks wait all at once: which needs no lock, no pool to size, and no memory for each one who waits.
import { gather, getRunningLoop, run } from '@aiokit/core';
import { ProcessPoolExecutor, ThreadPoolExecutor } from '@aiokit/core/threads';
import { ClientSession } from '@aiokit/http';
import { isProgram, type Print } from '../program.ts';
import { withServerThread } from '../server-thread.ts';

const REQUESTS = 500;

/** What each worker does. Self-contained. */
async function get(url: string): Promise<unknown> {
  const response = await fetch(url);
  return await response.json();
}

async function measured(print: Print, who: string, load: () => Promise<unknown[]>): Promise<void> {
  const start = performance.now();
  const answers = await load();
  print(`${who}: ${answers.length} answers in ${((performance.now() - start) / 1_000).toFixed(2)} s`);
}

export async function main(print: Print): Promise<void> {
  const loop = getRunningLoop();
  const times = <T>(one: () => T): T[] => Array.from({ length: REQUESTS }, one);
  await withServerThread(5, async (url) => {
    await measured(print, 'processes', async () => {
      await using pool = new ProcessPoolExecutor({ maxWorkers: 4 });
      return await gather(times(() => () => loop.runInExecutor(pool, get, url)));
    });
    await measured(print, 'threads', async () => {
      await using pool = new ThreadPoolExecutor({ maxWorkers: 4 });
      return await gather(times(() => () => loop.runInExecutor(pool, get, url)));
    });
    await measured(print, 'tasks', async () => {
      await using session = new ClientSession();
      return await gather(times(() => () => session.get(url).json()));
    });
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
