import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { CancelledError, createTask, Future, type Task } from '@aiokit/core';
import { ClientConnectionError, ClientPayloadError, ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { rejection } from './support/http-server.ts';

/** A server that speaks bytes: `behave` is called with each connection that has sent something. */
async function rawServer(behave: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    socket.once('data', () => behave(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const LENGTH = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello';
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n';

test.each([
  ['content-length', LENGTH],
  ['chunks', CHUNKED],
])(
  'a connection that is reset after any byte of a response with %s is an error, and never a short body',
  async (_, response) => {
    let bytes = 0;
    await using server = await rawServer((socket) => {
      if (bytes === 0) return void socket.resetAndDestroy();
      socket.write(response.slice(0, bytes), () => setImmediate(() => socket.resetAndDestroy()));
    });
    await using session = new ClientSession({ baseUrl: server.url });
    const head = response.indexOf('\r\n\r\n') + 4;
    for (bytes = 0; bytes < response.length; bytes++) {
      const error = await rejection<Error>(session.get('/').text());
      // The reset may overtake what was sent before it: then there was no head.
      const expected = bytes < head ? [ClientConnectionError] : [ClientPayloadError, ClientConnectionError];
      expect(expected.map(({ name }) => name)).toContain(error.name);
    }
    await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  },
);

test.each([
  ['content-length', LENGTH],
  ['chunks', CHUNKED],
])('a cancel after any byte of a response with %s closes the connection and frees the slot', async (_, response) => {
  let bytes = 0;
  let sent = new Future<void>();
  await using server = await rawServer((socket) => {
    socket.setNoDelay();
    socket.write(response.slice(0, bytes), () => sent.setResult());
  });
  await using session = new ClientSession({ baseUrl: server.url, limit: 1 });
  for (bytes = 1; bytes < response.length; bytes++) {
    sent = new Future();
    const task = createTask(() => session.get('/').text()) as Task<unknown>;
    await sent;
    // In half of the cases the client has seen it by then.
    if (bytes % 2) await new Promise(setImmediate);
    task.cancel();
    await expect(task).rejects.toBeInstanceOf(CancelledError);
    await eventually(() => expect(server.sockets.size).toBe(0));
    expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
  }
});

test('a slow loris is given up by sockRead between two pieces, and by total in the end', async () => {
  let pause = 5;
  await using server = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), pause);
    socket.on('close', () => clearInterval(timer));
  });
  await using session = new ClientSession({ baseUrl: server.url });
  await expect(session.get('/', { timeout: 100 }).text()).rejects.toMatchObject({ phase: 'total' });
  pause = 60_000;
  await expect(session.get('/', { timeout: { sockRead: 50 } }).text()).rejects.toMatchObject({ phase: 'sockRead' });
  await eventually(() => expect(server.sockets.size).toBe(0));
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('a server that half-closes after half a body has not sent a whole one', async () => {
  await using server = await rawServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'));
  await using session = new ClientSession({ baseUrl: server.url });
  await expect(session.get('/').text()).rejects.toBeInstanceOf(ClientPayloadError);
  await eventually(() => expect(server.sockets.size).toBe(0));
});

test('a body without a length ends with its connection', async () => {
  await using server = await rawServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall there is'));
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await session.get('/').text()).toBe('all there is');
});

test.each([
  ['a length that is no number', 'content-length: many\r\n'],
  ['two lengths that differ', 'content-length: 5\r\ncontent-length: 6\r\n'],
  ['a length beside chunks', 'content-length: 5\r\ntransfer-encoding: chunked\r\n'],
  ['a header without a name', ': nothing\r\n'],
])('%s is an error', async (_, header) => {
  await using server = await rawServer((socket) => socket.write(`HTTP/1.1 200 OK\r\n${header}\r\nhello`));
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection<Error>(session.get('/').text());
  expect(['ClientConnectionError', 'ClientPayloadError']).toContain(error.name);
  await eventually(() => expect(server.sockets.size).toBe(0));
});

test('more than the length is not part of the body, nor of the next one', async () => {
  await using server = await rawServer((socket) => {
    const answer = () => socket.write(`${LENGTH}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`);
    answer();
    socket.on('data', answer);
  });
  await using session = new ClientSession({ baseUrl: server.url });
  for (let i = 0; i < 5; i++) {
    try {
      expect(await session.get('/').text()).toBe('hello');
    } catch (error) {
      // It may as well be noticed while the connection is still ours.
      expect(['ClientConnectionError', 'ClientPayloadError']).toContain((error as Error).name);
    }
  }
});

test('a body that never ends is cut by maxBodySize, and one that is read in pieces does not pile up', async () => {
  let written = 0;
  await using server = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 'x'), Buffer.from('\r\n')]);
    const pump = () => {
      while (!socket.destroyed && socket.write(chunk)) written += 65_536;
    };
    socket.on('drain', pump);
    pump();
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection<Error>(session.get('/', { maxBodySize: 2 ** 20 }).bytes());
  expect(error.message).toContain('larger than maxBodySize');
  written = 0;
  let read = 0;
  for await (const chunk of (await session.get('/')).body) {
    read += chunk.length;
    if (read > 2 ** 22) break;
    await new Promise(setImmediate);
  }
  expect(written - read).toBeLessThan(16 * 2 ** 20); // What fits into the buffers of both ends.
  await eventually(() => expect(server.sockets.size).toBe(0));
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('headers without end are an error, not memory', async () => {
  await using server = await rawServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    const pump = () => {
      while (!socket.destroyed && socket.write(`x-more: ${'x'.repeat(1_000)}\r\n`));
    };
    socket.on('drain', pump);
    pump();
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection<{ code: string }>(session.get('/'));
  expect(error.code).toBe('UND_ERR_HEADERS_OVERFLOW');
  await eventually(() => expect(server.sockets.size).toBe(0));
});
