// Row 37: a library that blocks does not become concurrent inside an async function: three requests come one after the other.
// Mended twice: with a client that waits instead of blocking, and, where there is no such client, with threads.
import { createTask, run } from '@aiokit/core';
import { toThread } from '@aiokit/core/threads';
import { ClientSession } from '@aiokit/http';
import { isProgram, type Print } from '../program.ts';
import { withServerThread } from '../server-thread.ts';
import { timed } from './timed.ts';

/** As Python's `requests`: nothing else runs in its thread until the answer is there. Self-contained, so that a thread can run it. */
function blockingGet(url: string): number {
  const { execFileSync } = process.getBuiltinModule('node:child_process');
  const program = 'fetch(process.argv[1]).then((response) => console.log(response.status))';
  return Number(execFileSync(process.execPath, ['-e', program, url], { encoding: 'utf8' }));
}

export async function main(print: Print): Promise<void> {
  await withServerThread(100, async (url) => {
    await using session = new ClientSession();
    const asking = (who: string, get: () => number | PromiseLike<number>) => async () => {
      print(`${who}: asks`);
      const status = get();
      print(`${who}: ${typeof status === 'number' ? status : await status}`);
    };
    const blocking = asking('blocking', () => blockingGet(url));
    const waiting = asking('waiting', async () => (await session.get(url)).status);
    const inThread = asking('in a thread', () => toThread(blockingGet, url));

    for (const getExampleStatus of [blocking, waiting, inThread]) {
      await timed(print, async function main() {
        const tasks = [createTask(getExampleStatus), createTask(getExampleStatus), createTask(getExampleStatus)];
        for (const task of tasks) await task;
      })();
    }
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
