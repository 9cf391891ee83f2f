import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { CancelledError, createTask, Future, gather, sleep, type Task } from '@aiokit/core';
import { ClientConnectionError, ClientSession, type ClientTimeoutError } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually, lateAfter, turnsUntil } from './support/eventually.ts';
import { echo, httpServer, rejection } from './support/http-server.ts';

const hang = () => {};

test('limit and limitPerHost hold, and those who wait come in order', async () => {
  let active = 0;
  let most = 0;
  const order: string[] = [];
  const go = new Future<void>();
  const listener = async (request: { url?: string }, response: { end(): void }) => {
    most = Math.max(most, ++active);
    order.push(request.url as string);
    await go;
    active--;
    response.end();
  };
  await using one = await httpServer(listener as never);
  await using two = await httpServer(listener as never);
  await using session = new ClientSession({ limit: 3, limitPerHost: 2 });
  const calls = Array.from({ length: 20 }, (_, i) => () => session.get(`${i % 2 ? one.url : two.url}/${i}`).bytes());
  const all = gather(calls);
  await eventually(() => expect(active).toBe(3));
  expect(session.statistics()).toEqual({ active: 3, waiting: 17 });
  go.setResult();
  await all;
  expect(most).toBe(3);
  order.length = 0;
  // One at a time: several connections may overtake each other on their way.
  await using single = new ClientSession({ limit: 1 });
  await gather(Array.from({ length: 10 }, (_, i) => () => single.get(`${i % 2 ? one.url : two.url}/${i}`).bytes()));
  expect(order).toEqual(Array.from({ length: 10 }, (_, i) => `/${i}`));
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('a cancel while waiting for a free connection leaves the line at once', async () => {
  await using server = await httpServer(hang);
  await using session = new ClientSession({ baseUrl: server.url, limit: 1 });
  const first = createTask(() => session.get('/first')) as Task<unknown>;
  await server.nextRequest();
  const second = createTask(() => session.get('/second')) as Task<unknown>;
  await sleep(0);
  expect(session.statistics()).toEqual({ active: 1, waiting: 1 });
  second.cancel();
  await expect(second).rejects.toBeInstanceOf(CancelledError);
  expect(session.statistics()).toEqual({ active: 1, waiting: 0 });
  first.cancel();
  await expect(first).rejects.toBeInstanceOf(CancelledError);
  expect(server.seen).toHaveLength(1);
});

test('a cancel while connecting ends the attempt, not only the wait', async () => {
  const looking = new Future<void>();
  const connection = { lookup: () => looking.setResult() }; // And never answers.
  await using session = new ClientSession({ connection: connection as never });
  const task = createTask(() => session.get('http://unresolvable.test/')) as Task<unknown>;
  await looking;
  expect(session.statistics().active).toBe(1);
  task.cancel();
  expect(await turnsUntil(task)).toBeLessThan(3);
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('sockConnect limits a connection that is being made, exactly, also per request', async () => {
  const connection = { lookup: () => {} };
  await using session = new ClientSession({ connection: connection as never, timeout: { sockConnect: 60 } });
  for (const [timeout, limit] of [
    [undefined, 60],
    [{ sockConnect: 30 }, 30],
  ] as const) {
    const isLate = lateAfter(limit + 100);
    const error = await rejection<ClientTimeoutError>(session.get('http://unresolvable.test/', { timeout }));
    expect(isLate()).toBe(false);
    expect(error.phase).toBe('sockConnect');
    expect(error.elapsed).toBeGreaterThanOrEqual(limit - 1);
  }
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('one request that is cancelled while connecting does not hurt another one to the same host', async () => {
  await using server = await httpServer(echo);
  let release = () => {};
  let lookups = 0;
  const connection = {
    lookup: (_host: string, _options: object, callback: (error: null, list: object[]) => void) => {
      lookups++;
      const before = release;
      release = () => {
        before();
        callback(null, [{ address: '127.0.0.1', family: 4 }]);
      };
    },
  };
  await using session = new ClientSession({ connection: connection as never });
  const url = `http://slow.test:${new URL(server.url).port}/`;
  const cancelled = createTask(() => session.get(url).text()) as Task<unknown>;
  const kept = createTask(() => session.get(url).text());
  await eventually(() => expect(lookups).toBe(2));
  cancelled.cancel();
  await expect(cancelled).rejects.toBeInstanceOf(CancelledError);
  release();
  expect(await kept).toContain('slow.test');
  expect(server.seen).toHaveLength(1);
});

test('1,000 cancels at every moment leave no connection and no slot behind', async () => {
  let seen = 0;
  await using server = await httpServer((request, response) => {
    response.write('half');
    if (request.url === '/last' || seen++ % 3 === 0) setImmediate(() => response.end('whole'));
  });
  await using session = new ClientSession({ baseUrl: server.url, limit: 20 });
  const tasks = Array.from({ length: 1_000 }, () => createTask(() => session.get('/').text()) as Task<unknown>);
  let cancelled = 0;
  for (const [i, task] of tasks.entries()) {
    if (i % 5 === 0) await new Promise(setImmediate);
    task.cancel();
  }
  for (const task of tasks) {
    try {
      await task;
    } catch (error) {
      expect(error).toBeInstanceOf(CancelledError);
      cancelled++;
    }
  }
  expect(cancelled).toBeGreaterThan(500);
  // A slot is free when its connection is gone, a moment later.
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  expect(await session.get('/last').text()).toBe('halfwhole');
  await eventually(async () => expect(await server.openConnections()).toBeLessThanOrEqual(21));
});

test.each([
  ['closes at once', (socket: { destroy(): void }) => socket.destroy()],
  ['answers nonsense', (socket: { end(s: string): void }) => socket.end('nonsense\r\n\r\n')],
  ['ends within the head', (socket: { end(s: string): void }) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
])('a server that %s is a ClientConnectionError', async (_, behave) => {
  const server = createNetServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => behave(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using session = new ClientSession();
  const call = session.get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await expect(call).rejects.toBeInstanceOf(ClientConnectionError);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
  server.close();
});

test("the user's own signal ends a request with its own reason, and keeps no listener", async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/half') response.write('half');
    else if (request.url === '/') response.end('done');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const controller = new AbortController();
  const { signal } = controller;
  expect(await session.get('/', { signal }).text()).toBe('done');
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  const reading = await session.get('/half', { signal });
  const calls = [session.get('/hang', { signal }), reading.text()];
  await eventually(() => expect(server.seen).toHaveLength(3));
  controller.abort(new RangeError('mine'));
  for (const call of calls) await expect(call).rejects.toThrow(new RangeError('mine'));
  await expect(session.get('/', { signal })).rejects.toThrow(new RangeError('mine'));
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a cancel that crosses a new connection does not cost later requests the one they share', async () => {
  const held: (() => void)[] = [];
  await using server = await httpServer((request, response) => {
    if (request.url === '/hang') return;
    if (request.url === '/held') held.push(() => response.end());
    else response.end();
  });
  const lookups: (() => void)[] = [];
  const lookup = (_host: string, _options: object, found: (error: null, addresses: object[]) => void) =>
    lookups.push(() => found(null, [{ address: '127.0.0.1', family: 4 }]));
  const connected = async () => {
    await eventually(() => expect(lookups).toHaveLength(1));
    lookups.shift()?.();
  };
  const baseUrl = server.url.replace('127.0.0.1', 'some.test');
  await using session = new ClientSession({ baseUrl, connection: { lookup: lookup as never } });
  const get = async (path: string) => {
    await session.get(path).bytes();
    await new Promise(setImmediate); // The connection may be used again.
  };
  const hanging = createTask(() => get('/hang'));
  await connected();
  await eventually(() => expect(server.seen).toHaveLength(1));
  const crossing = createTask(() => get('/held'));
  await eventually(() => expect(lookups).toHaveLength(1));
  hanging.cancel();
  await expect(hanging).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
  await connected();
  await eventually(() => expect(held).toHaveLength(1));
  const other = createTask(() => get('/'));
  await connected();
  await other;
  held[0]!();
  await crossing;
  const connections = server.connectionsMade();
  for (let i = 0; i < 5; i++) {
    const request = createTask(() => get('/'));
    await eventually(() => expect(lookups.length > 0 || request.done()).toBe(true));
    lookups.shift()?.();
    await request;
  }
  expect(server.connectionsMade()).toBe(connections);
});

test('an idle connection is kept for keepAlive and no longer, whatever the server offers', async () => {
  await using server = await httpServer((_, response) => response.end());
  server.server.keepAliveTimeout = 600_000; // Its answers say so.
  await using session = new ClientSession({ baseUrl: server.url, keepAlive: 100 });
  const { headers } = await session.get('/');
  expect(headers.get('keep-alive')).toBe('timeout=600');
  await eventually(async () => expect(await server.openConnections()).toBe(0));
});
