import { CancelledError, createTask, Future, Queue, sleep, type Task, timeout } from '@aiokit/core';
import { ClientResponseError, ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { test as virtualTest } from '@aiokit/testing/vitest';
import { expect, test } from 'vitest';
import { httpServer, rejection } from './support/http-server.ts';

interface Update {
  readonly id: number;
  readonly text: string;
}

test('session.longPoll() asks again, from where it was, whatever happens to a connection', async () => {
  const asked: string[] = [];
  await using server = await httpServer((request, response) => {
    asked.push(request.url as string);
    const id = Number(new URL(request.url as string, 'http://x').searchParams.get('offset') ?? 1);
    if (asked.length === 2) return void response.destroy();
    if (asked.length === 3) return void response.writeHead(204).end();
    response.end(JSON.stringify([{ id, text: `text ${id}` }]));
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const texts: string[] = [];
  const options = { params: { wait: 50 }, next: ([last]: Update[]) => ({ offset: (last as Update).id + 1 }) };
  for await (const [update] of session.longPoll<Update[]>('/updates', { ...options, delay: 1, interval: 1 })) {
    texts.push((update as Update).text);
    if (texts.length === 3) break;
  }
  expect(texts).toEqual(['text 1', 'text 2', 'text 3']);
  const second = '/updates?wait=50&offset=2';
  expect(asked).toEqual(['/updates?wait=50', second, second, second, '/updates?wait=50&offset=3']);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('an error status, and what is no JSON, is thrown', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/no') response.writeHead(404);
    response.end('no');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await rejection(session.longPoll('/no').next())).toBeInstanceOf(ClientResponseError);
  expect(await rejection(session.longPoll('/text').next())).toBeInstanceOf(SyntaxError);
});

test('a cancel ends the question that is open', async () => {
  await using server = await httpServer(() => {});
  await using session = new ClientSession({ baseUrl: server.url });
  const task = createTask(async () => {
    for await (const _ of session.longPoll('/'));
  }) as Task<unknown>;
  await server.nextRequest();
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
});

virtualTest(
  'the recipe: a handler waits for news, says 204 when there are none, and its client asks again',
  async () => {
    const news = new Queue<string>();
    const left = new Future<void>();
    const handler = async (): Promise<Response> => {
      try {
        return Response.json(await timeout(25_000, () => news.get()));
      } catch (error) {
        if ((error as Error).name === 'TimeoutError') return new Response(null, { status: 204 });
        left.setResult();
        throw error;
      }
    };
    await using server = await serve(handler, { port: 0 });
    await using session = new ClientSession({ baseUrl: server.url });
    const heard: string[] = [];
    const listening = createTask(async () => {
      for await (const item of session.longPoll<string>('/')) heard.push(item);
    }) as Task<unknown>;
    await sleep(60_000);
    await news.put('one');
    await sleep(60_000);
    await news.put('two');
    await sleep(1_000);
    expect(heard).toEqual(['one', 'two']);
    listening.cancel();
    await expect(listening).rejects.toBeInstanceOf(CancelledError);
    await left;
  },
);
