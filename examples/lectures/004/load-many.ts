// Row 46: the notes' aiohttp pair: a server that says "Hello, world", and a client that gets its JSON 500 times at once.
import { createTask, run } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram, type Print } from '../program.ts';

const app = new Hono();
app.get('/', (c) => c.text('Hello, world'));
app.get('/json', (c) => c.json({ message: 'Hello, world' }));

async function loadOne(session: ClientSession): Promise<unknown> {
  await using result = await session.get('/json');
  return await result.json();
}

export async function main(print: Print): Promise<void> {
  await using server = await serve(app, { port: 0 });
  const start = performance.now();
  await using session = new ClientSession({ baseUrl: server.url });
  print(await session.get('/').text());
  const tasks = Array.from({ length: 500 }, () => createTask(() => loadOne(session)));
  for (const task of tasks) print(JSON.stringify(await task));
  print(`${((performance.now() - start) / 1_000).toFixed(3)} s`);
}

if (isProgram(import.meta)) await run(() => main(console.log));
