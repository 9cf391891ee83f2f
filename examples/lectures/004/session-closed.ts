// Row 51: the notes' error 1. A block that is left closes its session, and tasks that it started and did not await come too
// late. The error says so; the right version awaits them inside.
import { createTask, run, taskGroup } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { withPage } from '../page.ts';
import { isProgram, type Print } from '../program.ts';

const loadOne = (session: ClientSession, url: string) => session.get(url).text();

export async function main(print: Print): Promise<void> {
  await withPage(async (url) => {
    const tasks = [];
    {
      await using session = new ClientSession();
      for (let i = 0; i < 10; i++) tasks.push(createTask(() => loadOne(session, url)));
    }
    const settled = await Promise.allSettled(tasks);
    const [first] = settled as PromiseRejectedResult[];
    print(`${settled.filter(({ status }) => status === 'rejected').length} failed`);
    print(`${first?.reason.name}: ${first?.reason.message}`.replace(/:\d+/, ''));

    await using session = new ClientSession();
    const right: string[] = [];
    await taskGroup((group) => {
      for (let i = 0; i < 10; i++) group.createTask(async () => right.push(await loadOne(session, url)));
    });
    print(`${right.length} answers`);
  });
}

if (isProgram(import.meta)) await run(() => main(console.log));
