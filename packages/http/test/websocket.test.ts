import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledError, createTask, Future, sleep, type Task } from '@aiokit/core';
import {
  ClientConnectionError,
  ClientResponseError,
  ClientSession,
  type WebSocketClosedError,
  type WebSocketConnection,
} from '@aiokit/http';
import { acceptWebSocket, type Server, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { eventually, settled } from './support/eventually.ts';
import { rejection } from './support/http-server.ts';

const serveSocket = (handler: (socket: WebSocketConnection) => unknown, options = {}): Promise<Server> =>
  serve(() => acceptWebSocket(handler, options), { port: 0 });

async function echo(socket: WebSocketConnection): Promise<void> {
  for await (const message of socket) await socket.send(message);
}

test('texts, bytes and JSON go both ways, through hono', async () => {
  const app = new Hono();
  app.get('/echo/:room', (c) => {
    expect(c.req.param('room')).toBe('blue');
    return acceptWebSocket(echo, { protocols: ['v2', 'v1'] });
  });
  await using server = await serve(app, { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url });
  await using socket = await session.wsConnect('/echo/blue', { protocols: ['v1', 'v2'] });
  expect(socket.protocol).toBe('v2');
  await socket.send('text');
  await socket.send(new Uint8Array([1, 2]));
  await socket.sendJson({ a: 1 });
  expect(await socket.receive()).toBe('text');
  expect(await socket.receive()).toEqual(Buffer.from([1, 2]));
  expect(await socket.receiveJson()).toEqual({ a: 1 });
  expect(server.statistics().webSockets).toBe(1);
});

test('an orderly close ends the loop on the other side, with its code and reason', async () => {
  await using server = await serveSocket(async (socket) => {
    await socket.send('one');
    await socket.close(1000, 'done');
  });
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  const messages = await Array.fromAsync(socket);
  expect(messages).toEqual(['one']);
  expect([socket.closed, socket.closeCode, socket.closeReason]).toEqual([true, 1000, 'done']);
  expect(await socket.receive()).toBeNull();
  const error = await rejection<WebSocketClosedError>(socket.send('late'));
  expect(error).toMatchObject({ name: 'WebSocketClosedError', closeCode: 1000 });
});

test('a handler that throws closes with 1011, and is reported', async () => {
  const errors: unknown[] = [];
  await using server = await serve(
    () =>
      acceptWebSocket(() => {
        throw new Error('broken');
      }),
    { port: 0, onError: (error) => errors.push(error) },
  );
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  const error = await rejection<WebSocketClosedError>(socket.receive());
  expect(error.closeCode).toBe(1011);
  await eventually(() => expect(errors).toHaveLength(1));
  expect((errors[0] as Error).message).toBe('broken');
});

test('a peer who vanishes ends receive(), and cancels a handler that waits for something else', async () => {
  const how: string[] = [];
  const waiting = new Future<void>();
  await using server = await serve(
    (request) =>
      acceptWebSocket(async (socket) => {
        try {
          waiting.done() || waiting.setResult();
          if (request.url.endsWith('/receive')) await socket.receive();
          else await sleep(60_000);
        } catch (error) {
          how.push((error as Error).name);
          throw error;
        }
      }),
    { port: 0, onError: () => {} },
  );
  await using session = new ClientSession();
  for (const path of ['/receive', '/wait']) {
    const socket = await session.wsConnect(server.url + path);
    await waiting;
    // @ts-expect-error to die without a goodbye
    socket.raw.terminate();
    await eventually(() => expect(server.statistics().webSockets).toBe(0));
  }
  expect(how).toEqual(['WebSocketClosedError', 'CancelledError']);
});

test('a cancelled receive loses no message', async () => {
  await using server = await serveSocket(echo);
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  const task = createTask(() => socket.receive());
  await sleep(0);
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await socket.send('kept');
  expect(await socket.receive()).toBe('kept');
});

test('a socket that its task leaves open is closed when the task ends', async () => {
  const seen = new Future<number | null>();
  await using server = await serveSocket(async (socket) => {
    for await (const _ of socket);
    seen.setResult(socket.closeCode);
  });
  await using session = new ClientSession();
  await createTask(async () => {
    await session.wsConnect(server.url);
  });
  expect(await seen).toBe(1001);
});

test('a slow reader slows the sender', async () => {
  let sent = 0;
  await using server = await serve(
    () =>
      acceptWebSocket(async (socket) => {
        const chunk = new Uint8Array(256 * 1024);
        for (; sent < 1_000; sent++) await socket.send(chunk);
      }),
    { port: 0, onError: () => {} },
  );
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  await settled(() => sent);
  expect(sent).toBeLessThan(500);
  // @ts-expect-error to leave at once
  socket.raw.terminate();
});

test('a refused handshake says why, and a cancel ends one that hangs', async () => {
  await using server = await serve(() => new Response('no', { status: 403 }), { port: 0 });
  await using session = new ClientSession();
  const error = await rejection<ClientResponseError>(session.wsConnect(server.url));
  expect(error).toBeInstanceOf(ClientResponseError);
  expect(error.status).toBe(403);
  expect((await session.get(server.url)).status).toBe(403);
  await expect(session.wsConnect('ws://127.0.0.1:1/')).rejects.toBeInstanceOf(ClientConnectionError);
  const arrived = new Future<void>();
  await using hanging = await serve(
    async () => {
      arrived.setResult();
      await sleep(60_000);
      return new Response('');
    },
    { port: 0 },
  );
  const task = createTask(() => session.wsConnect(hanging.url)) as Task<unknown>;
  await arrived;
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(hanging.statistics()).toMatchObject({ webSockets: 0, connections: 0 }));
});

test('a peer that answers no ping is given up, on both sides', async () => {
  await using server = await serveSocket(
    async (socket) => {
      await socket.receive();
      // @ts-expect-error stops reading the socket, pings and pongs included
      socket.raw.pause();
      await sleep(60_000);
    },
    { heartbeat: 100 },
  );
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url, { heartbeat: 40 });
  await socket.send('deaf from now on');
  const error = await rejection<WebSocketClosedError>(socket.receive());
  expect(error.message).toContain('no answer to a ping within 20 ms');
});

test('a server that closes says goodbye', async () => {
  const server = await serveSocket(echo);
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  await socket.send('hello');
  expect(await socket.receive()).toBe('hello');
  const closing = server.close();
  expect(await socket.receive()).toBeNull();
  expect(socket.closeCode).toBe(1001);
  await closing;
});

test('a session that closes says goodbye on its WebSockets', async () => {
  const codes: (number | null)[] = [];
  await using server = await serveSocket(async (socket) => {
    for await (const _ of socket);
    codes.push(socket.closeCode);
  });
  const session = new ClientSession({ baseUrl: server.url });
  const reading = await session.wsConnect('/');
  const idle = await session.wsConnect('/');
  const message = reading.receive();
  await session.close();
  expect(await message).toBeNull();
  expect([reading.closeCode, idle.closeCode]).toEqual([1001, 1001]);
  await eventually(() => expect(codes).toEqual([1001, 1001]));
  await expect(idle.send('late')).rejects.toMatchObject({ name: 'WebSocketClosedError', closeCode: 1001 });
});

test('a session does not wait for a deaf peer for longer than closeTimeout', async () => {
  const gone = new Future<void>();
  const server = createServer((socket) => {
    socket.on('error', () => {}).on('close', () => gone.setResult());
    socket.once('data', (data: Buffer) => {
      const key = /sec-websocket-key: (\S+)/i.exec(data.toString())?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      const head = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n';
      socket.write(`${head}sec-websocket-accept: ${accept}\r\n\r\n`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = new ClientSession();
  const { port } = server.address() as AddressInfo;
  const socket = await session.wsConnect(`ws://127.0.0.1:${port}/`, { closeTimeout: 40 });
  // Who stops waiting for a close ends it for nobody else.
  const closing = createTask(() => socket.close()) as Task<unknown>;
  await new Promise(setImmediate);
  closing.cancel();
  await expect(closing).rejects.toBeInstanceOf(CancelledError);
  await session.close();
  expect(socket.closeCode).toBe(1006);
  await gone;
  server.close();
});

test('a session that closes ends what is still being opened', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = new ClientSession();
  const { port } = server.address() as AddressInfo;
  const opening = rejection<Error>(session.wsConnect(`ws://127.0.0.1:${port}/`));
  const [socket] = (await once(server, 'connection')) as [Socket];
  const closed = once(socket.on('error', () => {}).resume(), 'close');
  await session.close();
  expect((await opening).message).toBe(
    `ws://127.0.0.1:${port}/: the session was closed while the WebSocket was being opened`,
  );
  await closed;
  server.close();
});

test('what cannot be sent, and a close code that is none, are said, and the connection stays', async () => {
  await using server = await serveSocket(echo);
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url, { closeTimeout: 20 });
  expect(() => socket.sendJson(undefined)).toThrow(
    new TypeError('json must be a value that JSON can express, got undefined'),
  );
  await expect(socket.close(99)).rejects.toThrow(TypeError);
  await sleep(40); // closeTimeout is over.
  await socket.sendJson({ still: 'here' });
  expect(await socket.receiveJson()).toEqual({ still: 'here' });
});

test('a plain request for a WebSocket is told to upgrade', async () => {
  await using server = await serveSocket(echo);
  expect((await fetch(server.url)).status).toBe(426);
});

test('what a WebSocket handler has started ends with it', async () => {
  const ended = new Future<string>();
  await using server = await serve(
    () =>
      acceptWebSocket(async (socket) => {
        createTask(async () => {
          try {
            await sleep(60_000);
          } finally {
            ended.setResult('ended');
          }
        });
        for await (const _ of socket);
      }),
    { port: 0 },
  );
  await using session = new ClientSession({ baseUrl: server.url });
  const socket = await session.wsConnect('/');
  await socket.send('hello');
  await socket.close();
  expect(await ended).toBe('ended');
  await eventually(() => expect(server.statistics()).toMatchObject({ webSockets: 0 }));
});

test('a session over an app has no WebSocket, and says so at the call', async () => {
  await using session = new ClientSession({ app: () => new Response('') });
  expect(() => session.wsConnect('ws://app/')).toThrow(/^wsConnect needs a server on the network/);
});

test('a WebSocket goes to the Unix domain socket of its session', async () => {
  await using server = await serveSocket(echo);
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-http-'));
  const socketPath = join(directory, 'ws.sock');
  const { port } = new URL(server.url);
  const relay = createServer((incoming) => {
    const upstream = connect(Number(port), '127.0.0.1');
    incoming.pipe(upstream).pipe(incoming);
    incoming.on('error', () => {});
    upstream.on('error', () => {});
  }).listen(socketPath);
  await once(relay, 'listening');
  await using session = new ClientSession({ socketPath });
  const socket = await session.wsConnect('ws://anything.test/');
  await socket.send('through the file');
  expect(await socket.receive()).toBe('through the file');
  await socket.close();
  relay.close();
  await rm(directory, { recursive: true });
});
