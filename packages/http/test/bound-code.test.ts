import { execFile } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { getEventListeners } from 'node:events';
import { get as nodeGet } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CancelledError, createTask, Future, sleep, type Task, TimeoutError, timeout, withSignal } from '@aiokit/core';
import { ClientSession, install, type RequestTrace, taskInterceptor } from '@aiokit/http';
import { Hono } from 'hono';
import { Agent, request, fetch as undiciFetch } from 'undici';
import { expect, test } from 'vitest';
import { eventually, turnsUntil } from './support/eventually.ts';
import { httpServer } from './support/http-server.ts';

test.each([
  ['undici.request', (url: string, dispatcher: Agent) => request(url, { dispatcher })],
  ["undici's fetch", (url: string, dispatcher: Agent) => undiciFetch(url, { dispatcher })],
  ["the platform's fetch", (url: string, dispatcher: Agent) => globalThis.fetch(url, { dispatcher } as never)],
] as const)('taskInterceptor() binds %s', async (_, ask) => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/ok') response.end('ok');
    if (request.url === '/half') response.write('half');
  });
  const dispatcher = new Agent().compose(taskInterceptor()) as unknown as Agent;
  const answered = await createTask(async () => {
    const response = (await ask(`${server.url}/ok`, dispatcher)) as { body: AsyncIterable<Uint8Array> };
    return Buffer.concat(await Array.fromAsync(response.body)).toString();
  });
  expect(answered).toBe('ok');
  const task = createTask(() => ask(`${server.url}/hang`, dispatcher)) as Task<unknown>;
  await server.nextRequest();
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(task.cancelled()).toBe(true);
  expect(await server.seen[1]!.closed).toBe(false);
  const half = new Future<void>();
  const reading = createTask(async () => {
    const response = (await ask(`${server.url}/half`, dispatcher)) as { body: AsyncIterable<Uint8Array> };
    for await (const _ of response.body) half.setResult();
  }) as Task<unknown>;
  await half;
  await new Promise(setImmediate);
  reading.cancel();
  await expect(reading).rejects.toBeInstanceOf(CancelledError);
  await dispatcher.destroy();
});

test('taskInterceptor() obeys a timeout and a signal outside of any task, and nothing once they are over', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/ok') response.end('ok');
  });
  const dispatcher = new Agent().compose(taskInterceptor()) as unknown as Agent;
  const ask = (path: string) => request(server.url + path, { dispatcher });
  const controller = new AbortController();
  const aborted = withSignal(controller.signal, () => ask('/hang'));
  const { closed } = await server.nextRequest();
  controller.abort(new RangeError('mine'));
  await expect(aborted).rejects.toThrow(new RangeError('mine'));
  expect(await closed).toBe(false);
  await expect(timeout(20, () => ask('/hang'))).rejects.toBeInstanceOf(TimeoutError);
  await eventually(async () => expect(await server.openConnections()).toBe(0));
  const quiet = new AbortController();
  const { body } = await withSignal(quiet.signal, () => ask('/ok'));
  expect(getEventListeners(quiet.signal, 'abort')).toHaveLength(0);
  quiet.abort();
  expect(await body.text()).toBe('ok');
  await dispatcher.destroy();
});

test('taskInterceptor() settles at once while the connection is being made', async () => {
  const looking = new Future<void>();
  const connect = { lookup: () => looking.setResult() } as never; // And never answers.
  const dispatcher = new Agent({ connect }).compose(taskInterceptor());
  const task = createTask(() => request('http://unresolvable.test/', { dispatcher })) as Task<unknown>;
  await looking;
  task.cancel();
  expect(await turnsUntil(task)).toBeLessThan(3);
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  dispatcher.destroy().catch(() => {});
});

test('install() binds the global fetch and node:http, until it is disposed', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/half') response.write('half');
  });
  const before = globalThis.fetch;
  /** Says when it waits: for the answer as soon as the server has the request, for the rest with its first piece. */
  const viaNode = (path: string, begun = () => {}) =>
    new Promise((resolve, reject) => {
      nodeGet(server.url + path, (response) => {
        response.on('error', reject).on('end', resolve).on('data', begun);
      }).on('error', reject);
    });
  {
    using _ = install();
    expect(globalThis.fetch).not.toBe(before);
    const half = new Future<void>();
    for (const ask of [() => fetch(server.url), () => viaNode('/'), () => viaNode('/half', () => half.setResult())]) {
      const task = createTask(ask) as Task<unknown>;
      const { closed, request } = await server.nextRequest();
      if (request.url === '/half') await half;
      task.cancel();
      await expect(task).rejects.toBeInstanceOf(CancelledError);
      expect(task.cancelled()).toBe(true);
      expect(await closed).toBe(false);
    }
    await expect(timeout(20, () => viaNode('/'))).rejects.toMatchObject({ name: 'TimeoutError' });
  }
  expect(globalThis.fetch).toBe(before);
  const task = createTask(() => viaNode('/'));
  const { response } = await server.nextRequest();
  task.cancel();
  response.end('answered');
  await task; // Not bound any more: the cancel came too late for it.
});

test('a session over an app calls it in this process, streams and cancels included', async () => {
  const app = new Hono();
  const cancelled = new Future<string>();
  app.post('/echo', async (c) => c.text(`${c.req.query('q')} ${await c.req.text()}`, 201, { 'x-a': 'b' }));
  app.get('/stream', () => {
    async function* source() {
      for (let i = 0; ; i++) {
        await sleep(1);
        yield new TextEncoder().encode(`${i}\n`);
      }
    }
    return new Response(ReadableStream.from(source()) as ReadableStream<Uint8Array>);
  });
  app.get('/hang', async () => {
    try {
      await sleep(60_000);
    } catch (error) {
      cancelled.setResult((error as Error).name);
    }
    return new Response('');
  });
  app.get('/fail', () => Promise.reject(new Error('broken')));
  app.onError((error) => {
    throw error;
  });
  await using session = new ClientSession({ app, baseUrl: 'http://app' });
  const response = await session.post('/echo', { params: { q: 1 }, body: 'text' });
  expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([201, 'b', '1 text']);
  const lines: string[] = [];
  for await (const line of (await session.get('/stream')).lines()) if (lines.push(line) === 3) break;
  expect(lines).toEqual(['0', '1', '2']);
  await expect(timeout(20, () => session.get('/hang'))).rejects.toMatchObject({ name: 'TimeoutError' });
  expect(await cancelled).toBe('CancelledError');
  await expect(session.get('/fail')).rejects.toThrow('broken');
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('tracing channels tell of the start and the end of each call, of redirects and errors', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/r') response.writeHead(302, { location: '/ok' });
    if (request.url === '/cut') return void response.destroy();
    response.end('ok');
  });
  const told: string[] = [];
  const names = ['start', 'asyncStart', 'asyncEnd', 'error'].map((event) => `tracing:aiokit:http:request:${event}`);
  const listen = (message: unknown, name: string | symbol) => {
    const { method, url, response, error } = message as RequestTrace;
    told.push(
      `${String(name).split(':').at(-1)} ${method} ${new URL(url).pathname} ${response?.status ?? ''}${error ? 'failed' : ''}`,
    );
  };
  for (const name of [...names, 'aiokit:http:redirect']) subscribe(name, listen);
  try {
    await using session = new ClientSession({ baseUrl: server.url });
    await session.get('/r').bytes();
    await session
      .get('/cut')
      .bytes()
      .catch(() => {});
  } finally {
    for (const name of [...names, 'aiokit:http:redirect']) unsubscribe(name, listen);
  }
  expect(told).toEqual([
    'start GET /r ',
    'redirect GET /ok ',
    'asyncStart GET /ok 200',
    'asyncEnd GET /ok 200',
    'start GET /cut ',
    'error GET /cut failed',
    'asyncStart GET /cut failed',
    'asyncEnd GET /cut failed',
  ]);
});

test('importing the package changes nothing global', async () => {
  const program = fileURLToPath(new URL('programs/globals.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@aiokit/source', program]);
  expect(JSON.parse(stdout)).toEqual([]);
});
