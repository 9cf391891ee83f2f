// Row 47: a handler that blocks holds up everybody, however many wait (in the notes: ten times slower). In a thread it does not.
import { createTask, Event, run } from '@aiokit/core';
import { toThread } from '@aiokit/core/threads';
import { ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram, type Print } from '../program.ts';

/** A report that is nothing but computing. */
export function makeReport(rounds: number): number {
  let sum = 0;
  for (let i = 0; i < rounds; i++) sum = (sum + i * i) % 1_000_003;
  return sum;
}

export async function main(print: Print, rounds = 5e7): Promise<void> {
  for (const [title, report] of [
    ['in the handler', async () => makeReport(rounds)],
    ['in a thread', () => toThread(makeReport, rounds)],
  ] as const) {
    print(title);
    const begun = new Event();
    const app = new Hono();
    app.get('/report', async (c) => {
      print('  the report begins');
      begun.set();
      const result = await report();
      print('  the report is there');
      return c.json({ result });
    });
    app.get('/', (c) => {
      print('  somebody else is served');
      return c.text('hello');
    });
    await using server = await serve(app, { port: 0 });
    await using session = new ClientSession({ baseUrl: server.url });
    const slow = createTask(() => session.get('/report').json());
    await begun.wait();
    const [greeting] = await Promise.all([session.get('/').text(), slow]);
    if (greeting !== 'hello') throw new Error(`Expected "hello", got ${greeting}`);
  }
}

if (isProgram(import.meta)) await run(() => main(console.log));
