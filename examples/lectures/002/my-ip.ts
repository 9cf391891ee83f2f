// Row 27: the own IP address from the first service that knows it. All are asked at once; one that fails is no answer, and
// who is too late is cancelled: its request really ends.
import { createTask, run, sleep, type Task, wait } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { isProgram, type Print } from '../program.ts';

interface Service {
  readonly name: string;
  readonly url: string;
  readonly attribute: string;
}

async function fetchIp(session: ClientSession, { url, attribute }: Service): Promise<string> {
  const answer = await session.get(url, { raiseForStatus: true }).json<Record<string, string>>();
  return answer[attribute] as string;
}

async function firstIp(session: ClientSession, services: readonly Service[], print: Print): Promise<void> {
  const names = new Map(
    services.map((service) => [createTask(() => fetchIp(session, service)) as Task<string>, service.name]),
  );
  let pending = new Set(names.keys());
  try {
    while (pending.size > 0) {
      const { done, pending: rest } = await wait(pending, { returnWhen: 'FIRST_COMPLETED' });
      pending = rest;
      for (const task of done) {
        const error = task.exception();
        if (error === null) return print(`${names.get(task)}: ${task.result()}`);
        print(`${names.get(task)} does not know: ${(error as Error).message.replace(/:\d+/, '')}`);
      }
    }
    print('nobody knows');
  } finally {
    for (const task of pending) task.cancel();
    if (pending.size > 0) await wait(pending);
    for (const task of pending) print(`${names.get(task)} was cancelled: ${task.cancelled()}`);
  }
}

/** The services, on this machine: one is broken, one answers after a second, one after an hour. */
function services(print: Print): Hono {
  const app = new Hono();
  app.get('/ipify', (c) => c.text('no', 503));
  app.get('/ip-api', async (c) => {
    await sleep(1_000);
    return c.json({ query: '203.0.113.7' });
  });
  app.get('/slow', async (c) => {
    try {
      await sleep(3_600_000);
    } finally {
      print('slow: my client has left');
    }
    return c.json({ ip: '203.0.113.7' });
  });
  return app;
}

export async function main(print: Print): Promise<void> {
  await using server = await serve(services(print), { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url });
  const service = (name: string, attribute: string): Service => ({ name, url: `/${name}`, attribute });
  await firstIp(session, [service('ipify', 'ip'), service('ip-api', 'query'), service('slow', 'ip')], print);
}

if (isProgram(import.meta)) await run(() => main(console.log));
