// Row 52: producers fetch, with 1.2 s for each request, and put into a queue; one consumer prints. The notes' consumer waits
// for ever, and the first timeout ends their program: here the queue is shut down at the end, and who is late is named.
import { createTask, Queue, run, sleep, TimeoutError, taskGroup } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram, type Print } from '../program.ts';

const COUNT = 10;

/** The service, on this machine: joke 3 takes 5 s, each other one a tenth of a second more than the one before. */
const app = new Hono();
app.get('/jokes/:number', async (c) => {
  const number = Number(c.req.param('number'));
  await sleep(number === 3 ? 5_000 : 100 * (number + 1));
  return c.json({ type: 'programming', setup: `joke ${number}` });
});

async function fetchJoke(session: ClientSession, number: number, queue: Queue<[number, unknown]>): Promise<void> {
  await queue.put([number, await session.get(`/jokes/${number}`).json()]);
}

async function handleResults(queue: Queue<[number, unknown]>, print: Print): Promise<void> {
  for await (const [number, data] of queue) print(`(${number}, ${JSON.stringify(data)})`);
}

export async function main(print: Print): Promise<void> {
  await using server = await serve(app, { port: 0 });
  const queue = new Queue<[number, unknown]>();
  const results = createTask(() => handleResults(queue, print));
  {
    await using session = new ClientSession({ baseUrl: server.url, timeout: { total: 1_200 } });
    await taskGroup((group) => {
      for (let i = 0; i < COUNT; i++) {
        group.createTask(async () => {
          try {
            await fetchJoke(session, i, queue);
          } catch (error) {
            if (!(error instanceof TimeoutError)) throw error;
            print(`joke ${i}: ${error.name}`);
          }
        });
      }
    });
  }
  queue.shutdown();
  await results;
}

if (isProgram(import.meta)) await run(() => main(console.log));
