import { CancelledError, createTask, Future, gather, type Task } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually, turnsUntil } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

/** Answers only when it is told to. */
async function heldServer() {
  const go = new Future<void>();
  const server = await httpServer(async (_, response) => {
    response.write('half');
    await go;
    response.end(' whole');
  });
  return { server, go, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

test('equal requests that are under way at the same time are one, whatever the limit', async () => {
  let release = () => {};
  const arrived = new Future<void>();
  await using server = await httpServer((_, response) => {
    release = () => response.setHeader('set-cookie', 'a=1').end('once');
    arrived.setResult();
  });
  await using session = new ClientSession({ baseUrl: server.url, collapse: true, limit: 1 });
  const calls = gather(Array.from({ length: 10 }, () => () => session.get('/').text()));
  await arrived;
  expect(session.statistics()).toEqual({ active: 1, waiting: 0 });
  release();
  expect(await calls).toEqual(Array(10).fill('once'));
  expect(server.seen).toHaveLength(1);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('what differs in a header, has a body or comes later is not collapsed', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url, collapse: true });
  const [a, b] = await gather([
    () => session.get('/', { headers: { 'x-who': 'a' } }).json<Echoed>(),
    () => session.get('/', { headers: { 'x-who': 'b' } }).json<Echoed>(),
    () => session.post('/', { json: 1 }).bytes(),
    () => session.post('/', { json: 1 }).bytes(),
  ]);
  expect([a.headers['x-who'], b.headers['x-who']]).toEqual(['a', 'b']);
  await session.get('/', { headers: { 'x-who': 'a' } }).bytes();
  expect(server.seen).toHaveLength(5);
});

test('a cancelled caller leaves at once and the others get their answer, whoever came first', async () => {
  for (const leaving of [0, 1]) {
    const arrived = new Future<void>();
    let release = () => {};
    await using server = await httpServer((_, response) => {
      release = () => response.end('kept');
      arrived.setResult();
    });
    await using session = new ClientSession({ baseUrl: server.url, collapse: true });
    const tasks = [0, 1].map(() => createTask(() => session.get('/').text()) as Task<string>);
    await arrived;
    tasks[leaving]!.cancel();
    expect(await turnsUntil(tasks[leaving]!)).toBeLessThan(3);
    await expect(tasks[leaving]).rejects.toBeInstanceOf(CancelledError);
    release();
    expect(await tasks[1 - leaving]).toBe('kept');
    expect(server.seen).toHaveLength(1);
  }
});

test('when the last caller leaves, the request ends: on the server, too', async () => {
  await using held = await heldServer();
  const { server } = held;
  await using session = new ClientSession({ baseUrl: server.url, collapse: true });
  const reading = [0, 1].map(() => new Future<void>());
  const tasks = reading.map(
    (begun) =>
      createTask(async () => {
        for await (const _ of (await session.get('/')).body) begun.setResult();
      }) as Task<unknown>,
  );
  await Promise.all(reading);
  tasks[0]!.cancel();
  await expect(tasks[0]).rejects.toBeInstanceOf(CancelledError);
  expect(server.seen[0]!.response.destroyed).toBe(false);
  tasks[1]!.cancel();
  await expect(tasks[1]).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
  expect(server.seen).toHaveLength(1);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a cancel of all while they wait in line, or connect, leaves nothing behind', async () => {
  await using server = await httpServer(() => {});
  await using session = new ClientSession({ baseUrl: server.url, collapse: true, limit: 1 });
  const holding = session.get('/holding', { timeout: null });
  holding.catch(() => {});
  await server.nextRequest();
  const waiting = [0, 1].map(() => createTask(() => session.get('/never')) as Task<unknown>);
  await eventually(() => expect(session.statistics()).toEqual({ active: 1, waiting: 1 }));
  for (const task of waiting) task.cancel();
  for (const task of waiting) await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(session.statistics()).toEqual({ active: 1, waiting: 0 });
  const looking = new Future<void>();
  const connection = { lookup: () => looking.setResult() } as never; // And never answers.
  await using lost = new ClientSession({ collapse: true, connection });
  const connecting = [0, 1].map(() => createTask(() => lost.get('http://nowhere.test/')) as Task<unknown>);
  await looking;
  for (const task of connecting) task.cancel();
  for (const task of connecting) await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(lost.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('the fastest reader sets the pace; a slow one gets everything all the same', async () => {
  const size = 4 * 2 ** 20;
  await using server = await httpServer((_, response) => void response.end(Buffer.alloc(size, 'x')));
  await using session = new ClientSession({ baseUrl: server.url, collapse: true });
  const [slow, fast] = await Promise.all([session.get('/'), session.get('/')]);
  expect((await fast.bytes()).length).toBe(size);
  let length = 0;
  for await (const chunk of slow) length += chunk.length;
  expect(length).toBe(size);
  expect(server.seen).toHaveLength(1);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('a broken connection is the error of all, and each timeout is its own', async () => {
  const go = new Future<void>();
  await using server = await httpServer(async (request, response) => {
    if (request.url === '/cut') return void response.destroy();
    await go;
    response.end('late');
  });
  await using session = new ClientSession({ baseUrl: server.url, collapse: true });
  const errors = await Promise.all([0, 1].map(() => rejection<Error>(session.get('/cut'))));
  expect(errors.map(({ name }) => name)).toEqual(['ClientConnectionError', 'ClientConnectionError']);
  const impatient = session.get('/slow', { timeout: 20 });
  const patient = session.get('/slow').text();
  await expect(impatient).rejects.toMatchObject({ phase: 'total' });
  go.setResult();
  expect(await patient).toBe('late');
});
