import { CancelledError, createTask, Future, type Task } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { httpServer } from './support/http-server.ts';

test('what may be kept is answered from memory, what may not is asked for again', async () => {
  await using server = await httpServer((request, response) => {
    const control: Record<string, string> = {
      '/kept': 'max-age=60',
      '/private': 'private, max-age=60',
      '/no': 'no-store',
    };
    response.setHeader('cache-control', control[request.url as string] as string);
    response.end(`${server.seen.length}`);
  });
  await using session = new ClientSession({ baseUrl: server.url, cache: true });
  for (const [path, answers] of [
    ['/kept', ['1', '1']],
    ['/private', ['2', '3']],
    ['/no', ['4', '5']],
  ] as const) {
    expect([await session.get(path).text(), await session.get(path).text()]).toEqual(answers);
  }
  const again = await session.get('/kept');
  expect(again.headers.get('age')).toMatch(/^\d+$/);
  expect(await again.text()).toBe('1');
  await using own = new ClientSession({ baseUrl: server.url, cache: { type: 'private' } });
  expect([await own.get('/private').text(), await own.get('/private').text()]).toEqual(['6', '6']);
  expect(own.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('what is stale is asked for again with its ETag, and a 304 is answered from memory', async () => {
  await using server = await httpServer((request, response) => {
    if (request.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
    response.setHeader('cache-control', 'no-cache');
    response.setHeader('etag', '"v1"');
    response.end('the body');
  });
  await using session = new ClientSession({ baseUrl: server.url, cache: true });
  for (let i = 0; i < 3; i++) {
    const response = await session.get('/');
    expect([response.status, await response.text()]).toEqual([200, 'the body']);
  }
  expect(server.seen.map(({ response }) => response.statusCode)).toEqual([200, 304, 304]);
});

test('half a body that a cancel has cut off is not kept', async () => {
  let whole = false;
  await using server = await httpServer((_, response) => {
    response.setHeader('cache-control', 'max-age=60');
    response.write('half');
    if (whole) response.end(' whole');
  });
  await using session = new ClientSession({ baseUrl: server.url, cache: true });
  const reading = new Future<void>();
  const task = createTask(async () => {
    for await (const _ of await session.get('/')) reading.setResult();
  }) as Task<unknown>;
  await reading;
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
  whole = true;
  expect(await session.get('/').text()).toBe('half whole');
  expect(await session.get('/').text()).toBe('half whole');
  expect(server.seen).toHaveLength(2);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a stale answer is given at once, and the renewal behind it belongs to no task', async () => {
  const renewals: (() => void)[] = [];
  await using server = await httpServer((request, response) => {
    response.setHeader('cache-control', 'max-age=1, stale-while-revalidate=60');
    // What asks whether anything has changed is a renewal: it waits.
    if (request.headers['if-modified-since'] === undefined) response.end('fresh');
    else renewals.push(() => response.end('renewed'));
  });
  await using session = new ClientSession({ baseUrl: server.url, cache: true });
  // Real time has to pass: the cache counts in seconds of the wall clock.
  await eventually(async () => {
    const task = createTask(() => session.get('/').text()) as Task<string>;
    expect(await task).toBe('fresh');
    task.cancel();
    expect(renewals.length).toBeGreaterThan(0);
  });
  const { response, closed } = server.seen.find(({ request }) => request.headers['if-modified-since'] !== undefined)!;
  expect(response.destroyed).toBe(false);
  for (const renew of renewals) renew();
  expect(await closed).toBe(true);
});

test('a cache and collapsing go together', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('cache-control', 'max-age=60');
    response.end('hello');
  });
  await using session = new ClientSession({ baseUrl: server.url, cache: true, collapse: true });
  const ask = () => Promise.all([session.get('/').text(), session.get('/').text()]);
  expect(await ask()).toEqual(['hello', 'hello']);
  expect(await ask()).toEqual(['hello', 'hello']);
  expect(server.seen).toHaveLength(1);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});
