import { ClientResponseError, ClientSession, request } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { expect, test } from 'vitest';
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
    if (request.url === '/no') response.writeHead(404);
    response.end('data: once\n\n');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const error = await rejection(Array.fromAsync(session.events('/no')));
  expect(error).toBeInstanceOf(ClientResponseError);
  expect(await Array.fromAsync(session.events('/', { reconnect: false }))).toHaveLength(1);
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
