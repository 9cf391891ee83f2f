/** Clients that hold a connection and do too little with it, over every transport: they are cut, and nothing is left. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { type ServeOptions, serve, streamed } from '@aiokit/http/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bytesTaken, isWaiting } from '../src/server/slow-readers.ts';
import { certificate } from './support/certificate.ts';
import { eventually } from './support/eventually.ts';
import { frame, headerBlock, preface } from './support/http2-frames.ts';

let tls: { key: string; cert: string };
beforeAll(async () => {
  tls = await certificate();
});

const clients: Socket[] = [];
afterAll(() => {
  for (const client of clients) client.destroy();
});

const limits = { headersTimeout: 300, receiveTimeout: 600, keepAliveTimeout: 200, sendTimeout: 300 };

type Transport = Pick<ServeOptions, 'http2'> & {
  readonly tls?: boolean;
  /** Whether the client negotiates HTTP/1.1 with a server that has both. */
  readonly http1?: boolean;
};

/** A server, and a client that has sent `bytes` to it and reads nothing, or does. */
async function held({ tls: isSecure = false, http1, ...transport }: Transport, bytes: string | Buffer, reads: boolean) {
  const server = await serve(
    async (request) => {
      if (request.method === 'POST') return new Response(await request.text());
      if (request.url.endsWith('/small')) return new Response('small');
      if (request.url.endsWith('/big')) return new Response(new Uint8Array(30_000_000));
      return streamed(async function* () {
        for (;;) yield new Uint8Array(64 * 1024);
      });
    },
    { port: 0, ...transport, limits, ...(isSecure && { tls }) },
  );
  const port = Number(new URL(server.url).port);
  const ALPNProtocols = [transport.http2 && !http1 ? 'h2' : 'http/1.1'];
  const client = isSecure
    ? connectTls({ port, host: '127.0.0.1', ca: tls.cert, ALPNProtocols })
    : connect(port, '127.0.0.1');
  clients.push(client);
  client.on('error', () => {});
  if (reads) client.resume();
  await once(client, isSecure ? 'secureConnect' : 'connect');
  if (bytes.length > 0) client.write(bytes);
  return server;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
/** The client opens as large a window as there is. */
const wide = (path: string) =>
  Buffer.concat([
    preface(Buffer.of(0, 4, 0x7f, 0xff, 0xff, 0xff)),
    frame(8, 0, 0, Buffer.of(0x7f, 0, 0, 0)),
    frame(1, 5, 1, headerBlock('GET', path)),
  ]);
/** It reads all that comes, and opens no window for an answer. */
const narrow = (path: string) =>
  Buffer.concat([preface(Buffer.of(0, 4, 0, 0, 0, 0)), frame(1, 5, 1, headerBlock('GET', path))]);

test.each<[string, Transport, string | Buffer, boolean]>([
  ['a stream', {}, get('/'), false],
  ['a large answer', {}, get('/big'), false],
  ['a stream over TLS', { tls: true }, get('/'), false],
  ['a large answer over TLS', { tls: true }, get('/big'), false],
  ['a stream over HTTP/2', { http2: true }, wide('/'), false],
  ['a stream over HTTP/2 and TLS', { http2: true, tls: true }, wide('/'), false],
  ['a stream over HTTP/2, by its window', { http2: true }, narrow('/'), true],
  ['a large answer over HTTP/2, by its window', { http2: true }, narrow('/big'), true],
  ['a large answer over HTTP/2 and TLS, by its window', { http2: true, tls: true }, narrow('/big'), true],
])('a client that takes nothing of %s is cut', async (_, transport, bytes, reads) => {
  await using server = await held(transport, bytes, reads);
  await eventually(() => expect(server.statistics()).toMatchObject({ total: 1 }));
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
});

const half = (http2: boolean) =>
  http2
    ? Buffer.concat([preface(), frame(1, 4, 1, headerBlock('POST', '/')), frame(0, 0, 1, Buffer.from('half'))])
    : 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf';

test.each<[string, Transport, string | Buffer]>([
  ['nothing', {}, ''],
  ['half a header', {}, 'GET / HT'],
  ['half a body', {}, half(false)],
  ['one request', {}, get('/small')],
  ['nothing, HTTP/1.1 beside HTTP/2', { http2: true, http1: true, tls: true }, ''],
  ['half a header, HTTP/1.1 beside HTTP/2', { http2: true, http1: true, tls: true }, 'GET / HT'],
  ['half a body, HTTP/1.1 beside HTTP/2', { http2: true, http1: true, tls: true }, half(false)],
  ['one request, HTTP/1.1 beside HTTP/2', { http2: true, http1: true, tls: true }, get('/small')],
  ['nothing over HTTP/2', { http2: true }, ''],
  ['the preface of HTTP/2', { http2: true }, preface()],
  ['half a header frame', { http2: true }, Buffer.concat([preface(), narrow('/').subarray(-20, -5)])],
  [
    'a header frame that is to be continued',
    { http2: true },
    Buffer.concat([preface(), frame(1, 0, 1, headerBlock('GET', '/'))]),
  ],
  ['half a body over HTTP/2', { http2: true }, half(true)],
  ['half a body over HTTP/2 and TLS', { http2: true, tls: true }, half(true)],
])('a client that sends %s, and no more, is cut', async (_, transport, bytes) => {
  await using server = await held(transport, bytes, true);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
  expect(server.statistics().failed).toBe(0);
});

test('a client that does not shake hands is cut', async () => {
  await using server = await serve(() => new Response(), { port: 0, tls, limits });
  const client = connect(Number(new URL(server.url).port), '127.0.0.1');
  clients.push(client);
  client.on('error', () => {}).resume();
  await once(client, 'connect');
  await eventually(() => expect(server.statistics()).toMatchObject({ connections: 0 }));
});

test('HTTP/2: pings do not keep a connection that asks for nothing', async () => {
  await using server = await serve(() => new Response(), { port: 0, http2: true, limits });
  const client = connectHttp2(server.url).on('error', () => {});
  const ended = once(client, 'close');
  const ping = () => client.destroyed || client.ping(() => setTimeout(ping, 20));
  client.on('connect', ping);
  await ended;
  await eventually(() => expect(server.statistics().connections).toBe(0));
});

test('HTTP/2: a connection is closed after as many requests as it may make', async () => {
  const options = { port: 0, http2: true, limits: { requestsPerConnection: 2 } };
  await using server = await serve(() => new Response('ok'), options);
  const client = connectHttp2(server.url).on('error', () => {});
  const ended = once(client, 'close');
  const statuses = Array.from({ length: 2 }, async () => {
    const [headers] = await once(client.request({ ':path': '/' }).resume(), 'response');
    return headers[':status'];
  });
  expect(await Promise.all(statuses)).toEqual([200, 200]);
  await ended;
});

test.each(['plain', 'TLS'])('what a client takes of one large write is seen while it takes it (%s)', async (kind) => {
  const accepted = Promise.withResolvers<Socket>();
  const send = (socket: Socket) => void socket.on('error', () => {}).write(Buffer.alloc(30_000_000));
  const server: NetServer = kind === 'TLS' ? createTlsServer(tls, send) : createServer(send);
  server.on('connection', accepted.resolve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = kind === 'TLS' ? connectTls({ port, host: '127.0.0.1', ca: tls.cert }) : connect(port, '127.0.0.1');
  clients.push(client);
  client.on('error', () => {});
  const socket = await accepted.promise;
  await eventually(() => expect(isWaiting(socket)).toBe(true));
  const before = bytesTaken(socket);
  let received = 0;
  const read = (chunk: Buffer) => {
    received += chunk.length;
    if (received > 20_000_000) client.off('data', read).pause();
  };
  client.on('data', read);
  await eventually(() => expect(client.isPaused()).toBe(true));
  expect(bytesTaken(socket)).toBeGreaterThan(before + 5_000_000);
  client.resume();
  await eventually(() => expect(isWaiting(socket)).toBe(false));
  client.destroy();
  server.close();
});
