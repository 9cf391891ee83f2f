import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { CancelledError, createTask, Future, type Task, timeout } from '@aiokit/core';
import { ClientConnectionError, ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { type Echoed, echo, httpServer } from './support/http-server.ts';

/** Fails `times` times with the status (0 cuts the connection), then echoes. */
const failing = (times: number, status: number, headers: Record<string, string> = {}) => {
  let left = times;
  return httpServer((request, response) => {
    if (left-- <= 0) return echo(request, response);
    request.resume();
    if (status === 0) return void request.socket.destroy();
    response.writeHead(status, headers).end('failed');
  });
};

test.each([
  ['a status', 503],
  ['a broken connection', 0],
])('%s is tried again, body included, and no more often than it was said', async (_, status) => {
  await using server = await failing(2, status);
  await using session = new ClientSession({ baseUrl: server.url, retry: { limit: 2, delay: 1 } });
  expect((await session.put('/', { json: [1] }).json<Echoed>()).body).toBe('[1]');
  expect(server.seen).toHaveLength(3);
});

test('when the tries are used up, the last answer or error is what you get', async () => {
  await using server = await failing(99, 503);
  await using session = new ClientSession({ retry: { limit: 1, delay: 1 } });
  expect((await session.get(server.url)).status).toBe(503);
  expect(server.seen).toHaveLength(2);
  await expect(session.get('http://127.0.0.1:1/')).rejects.toBeInstanceOf(ClientConnectionError);
});

test('what is not idempotent, or a stream, or a cancel, is not tried again', async () => {
  await using server = await failing(99, 503);
  await using session = new ClientSession({ baseUrl: server.url, retry: { limit: 5, delay: 1 } });
  expect((await session.post('/', { json: 1 })).status).toBe(503);
  async function* source() {
    yield 'x';
  }
  expect((await session.put('/', { body: source() })).status).toBe(503);
  expect(server.seen).toHaveLength(2);
  const retrying = new Future<void>();
  const told = () => retrying.setResult();
  subscribe('aiokit:http:retry', told);
  const task = createTask(() => session.get('/', { retry: { limit: 5, delay: 60_000 } })) as Task<unknown>;
  await retrying;
  unsubscribe('aiokit:http:retry', told);
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('Retry-After is obeyed, in seconds or as a date, unless it is too long', async () => {
  await using server = await failing(1, 429, { 'retry-after': '1' });
  await using session = new ClientSession({ baseUrl: server.url, retry: { limit: 1, delay: 1, maxDelay: 2_000 } });
  const started = performance.now();
  expect((await session.get('/')).status).toBe(200);
  expect(performance.now() - started).toBeGreaterThanOrEqual(999);
  await using patient = await failing(1, 429, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
  expect((await session.get(patient.url)).status).toBe(429);
});

test('no retry goes past a deadline', async () => {
  await using server = await failing(99, 503);
  const retry = { limit: 9, delay: 20_000, jitter: false };
  await using session = new ClientSession({ baseUrl: server.url, retry });
  // What would come too late is not even waited for.
  expect((await timeout(15_000, () => session.get('/'))).status).toBe(503);
  expect((await session.get('/', { timeout: 15_000 })).status).toBe(503);
  expect(server.seen).toHaveLength(2);
});

test('a service that is down is not beaten: the budget runs out', async () => {
  await using server = await failing(Infinity, 503);
  await using session = new ClientSession({ baseUrl: server.url, retry: { limit: 3, delay: 0 } });
  for (let i = 0; i < 40; i++) await session.get('/').bytes();
  expect(server.seen.length).toBeLessThan(40 + 10 + 5);
});

test('a server that is silent for sockRead is asked again, on another connection', async () => {
  let left = 2;
  await using server = await httpServer((request, response) => {
    if (left-- <= 0) return echo(request, response);
    request.resume(); // And no word.
  });
  await using session = new ClientSession({
    baseUrl: server.url,
    timeout: { sockRead: 400 },
    retry: { limit: 2, delay: 1 },
  });
  expect((await session.get('/').json<Echoed>()).method).toBe('GET');
  expect(server.connectionsMade()).toBe(3);
  left = 99;
  await expect(session.get('/', { timeout: { sockRead: 20 } })).rejects.toMatchObject({ phase: 'sockRead' });
  expect(server.seen).toHaveLength(6);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('an idempotent request that meets the end of a kept connection goes over another one, without being a retry', async () => {
  const answered = new WeakSet<Socket>();
  let closed = 0;
  await using server = await httpServer((request, response) => {
    const { socket } = request;
    if (answered.has(socket)) closed++;
    if (request.url === '/poison' || answered.has(socket)) return void socket.destroy();
    answered.add(socket);
    echo(request, response);
  });
  await using session = new ClientSession({ baseUrl: server.url });
  while (closed < 5) {
    expect((await session.put('/', { body: new Blob(['again']) }).json<Echoed>()).body).toBe('again');
    await new Promise(setImmediate); // The connection may be used again.
  }
  const post = async () => {
    for (;;) {
      await session.post('/', { json: 1 }).bytes();
      await new Promise(setImmediate);
    }
  };
  await expect(post()).rejects.toBeInstanceOf(ClientConnectionError);
  // A new connection that is closed tells something else.
  await using other = new ClientSession({ baseUrl: server.url });
  const before = server.seen.length;
  await expect(other.get('/poison')).rejects.toBeInstanceOf(ClientConnectionError);
  expect(server.seen).toHaveLength(before + 1);
});

test('an upload that broke off with its connection is tried again as often as was said', async () => {
  let left = 2;
  await using server = await httpServer((request, response) => {
    if (left-- <= 0) return echo(request, response);
    request.once('data', () => request.socket.destroy());
  });
  await using session = new ClientSession({ baseUrl: server.url, retry: { limit: 2, delay: 1 } });
  const body = new Blob([Buffer.alloc(4 * 2 ** 20, 'x')]);
  expect((await session.put('/', { body }).json<Echoed>()).body).toHaveLength(body.size);
  left = 9;
  await expect(session.put('/', { body })).rejects.toBeInstanceOf(ClientConnectionError);
});
