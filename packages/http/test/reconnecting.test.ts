import { ClientError, ClientResponseError, ClientSession, request } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

test('session.events() connects again and asks for what came after the last event', async () => {
  await using server = await httpServer((request, response) => {
    const last = Number(request.headers['last-event-id'] ?? 0);
    if (last === 4) return void response.writeHead(204).end();
    response.setHeader('content-type', 'text/event-stream');
    response.write(`retry: 1\nid: ${last + 1}\ndata: a\n\nid: ${last + 2}\ndata: b\n\n`);
    if (last === 0) setImmediate(() => response.destroy());
    else response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const events = await Array.fromAsync(session.events('/'));
  expect(events.map(({ id, data }) => id + data)).toEqual(['1a', '2b', '3a', '4b']);
  expect(server.seen[0]!.request.headers.accept).toBe('text/event-stream');
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('session.events() throws an error status, and once is enough if that was said', async () => {
  await using server = await httpServer((request, response) => {
    response.writeHead(request.url === '/no' ? 404 : 200, { 'content-type': 'text/event-stream' });
    response.end('data: once\n\n');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection(Array.fromAsync(session.events('/no')));
  expect(error).toBeInstanceOf(ClientResponseError);
  expect(await Array.fromAsync(session.events('/', { reconnect: false }))).toHaveLength(1);
});

test.each([
  [{ 'content-type': 'text/html' }, 'the answer (200) is text/html, and no text/event-stream'],
  [{}, 'the answer (200) is a body without a content-type, and no text/event-stream'],
])('session.events() asks only once what answers with something else: %j', async (headers, message) => {
  await using server = await httpServer((_, response) => response.writeHead(200, headers).end('<p>'));
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection<Error>(Array.fromAsync(session.events('/', { reconnectDelay: 1 })));
  expect(error).toBeInstanceOf(ClientError);
  expect(error.message).toBe(`GET ${server.url}/: ${message}`);
  expect(server.seen).toHaveLength(1);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('session.events() knows the last id when it came without data, or on the connection before', async () => {
  const streams = ['retry: 1\nid: ✓\n\ndata: a\n\n', 'data: b\n\n', 'data: c\n\n'];
  await using server = await httpServer((_, response) => {
    const stream = streams.shift();
    if (stream === undefined) return void response.writeHead(204).end();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(stream);
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const events = await Array.fromAsync(session.events('/'));
  expect(events.map(({ id, data }) => id + data)).toEqual(['✓a', '✓b', '✓c']);
  const sent = server.seen.map(({ request }) => request.headers['last-event-id'] as string | undefined);
  expect(sent.map((id) => id && Buffer.from(id, 'latin1').toString())).toEqual([undefined, '✓', '✓', '✓']);
});

test('session.events() has no limit on the whole stream, but one on an event', async () => {
  await using server = await httpServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (request.url === '/large') for (let i = 0; i < 20; i++) response.write(`data: ${'x'.repeat(100)}\n`);
    else for (let i = 0; i < 20; i++) response.write(`data: ${'x'.repeat(100)}\n\n`);
    if (request.url !== '/large') response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url, maxBodySize: 200 });
  const options = { reconnect: false, maxEventSize: 1_000 };
  expect(await Array.fromAsync(session.events('/', options))).toHaveLength(20);
  const error = await rejection<Error>(Array.fromAsync(session.events('/large', { maxEventSize: 1_000 })));
  expect(error).toBeInstanceOf(ClientError);
  expect(error.message).toBe('an event is larger than maxEventSize (1000 characters)');
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('session.webSockets() gives one connection after the other', async () => {
  let served = 0;
  await using server = await serve(
    () =>
      ++served === 2 ? new Response('busy', { status: 503 }) : acceptWebSocket((socket) => socket.send(`${served}`)),
    { port: 0 },
  );
  await using session = new ClientSession({ baseUrl: server.url });
  const messages: unknown[] = [];
  const loop = async () => {
    for await (const socket of session.webSockets('/', { delay: 1 })) {
      for await (const message of socket) messages.push(message);
    }
  };
  // A server that refuses is not asked for ever.
  expect(await rejection(loop())).toBeInstanceOf(ClientResponseError);
  for await (const socket of session.webSockets('/', { delay: 1 })) {
    messages.push(await socket.receive());
    if (messages.length === 3) break;
  }
  expect(messages).toEqual(['1', '3', '4']);
});

test('request() needs no session', async () => {
  await using server = await httpServer(echo);
  expect((await request('POST', server.url, { json: 1 }).json<Echoed>()).body).toBe('1');
});
