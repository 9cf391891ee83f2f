/** Requests that are broken or mean harm, on raw sockets: the right status, no crash, nothing left. */
import type { OutgoingHttpHeaders } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { sleep } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { acceptWebSocket, type ServeOptions, type Server, serve } from '@aiokit/http/server';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { eventually } from './support/eventually.ts';
import { frame, headerBlock, preface } from './support/http2-frames.ts';

const SEED = Number(process.env.AIOKIT_FUZZ_SEED ?? 1);
const MUTANTS = Number(process.env.AIOKIT_FUZZ ?? 600);

interface Watched {
  readonly server: Server;
  readonly errors: unknown[];
  /** The bodies of all requests that reached the handler, by their path. */
  readonly seen: string[];
}

async function start(options: ServeOptions = {}): Promise<Watched> {
  const errors: unknown[] = [];
  const seen: string[] = [];
  const app = new Hono();
  app.all('*', async (c) => {
    seen.push(`${c.req.method} ${c.req.path} ${await c.req.text()}`);
    return c.text('ok');
  });
  const limits = { headersTimeout: 1_000, receiveTimeout: 1_000, bodySize: 10_000, ...options.limits };
  const server = await serve(app, { port: 0, ...options, limits, onError: (error) => errors.push(error) });
  return { server, errors, seen };
}

/** Sends bytes, says that no more will come, and gives back all that is answered. */
async function exchange(url: string, bytes: Buffer | string): Promise<string> {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('end', () => socket.end());
  socket.write(bytes);
  await closed;
  return Buffer.concat(chunks).toString('latin1');
}

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status));

const post = (head: string, body: string) => `POST /first HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${body}`;
const hidden = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n';

// RFC 9112 §6.3 and §11.2: where two readers could disagree on where a request ends, there must be no second request.
test.each([
  ['length and chunks (CL.TE)', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${hidden}`)],
  [
    'chunks and length (TE.CL)',
    post('Transfer-Encoding: chunked\r\nContent-Length: 4', `1c\r\n${hidden}\r\n0\r\n\r\n`),
  ],
  ['chunks that are not the last coding', post('Transfer-Encoding: chunked, identity', `0\r\n\r\n${hidden}`)],
  ['an unknown coding', post('Transfer-Encoding: xchunked', `0\r\n\r\n${hidden}`)],
  ['a coding with a vertical tab', post('Transfer-Encoding: \vchunked', `0\r\n\r\n${hidden}`)],
  ['a name with a space', post('Transfer-Encoding : chunked', `0\r\n\r\n${hidden}`)],
  ['two lengths', post('Content-Length: 0\r\nContent-Length: 36', hidden)],
  ['two lengths in one', post('Content-Length: 0, 36', hidden)],
  ['a signed length', post('Content-Length: +36', hidden)],
  ['a length in hexadecimal', post('Content-Length: 0x24', hidden)],
  ['a length beyond all numbers', post('Content-Length: 99999999999999999999', hidden)],
  ['a chunk size that overflows', post('Transfer-Encoding: chunked', `fffffffffffffffff\r\n${hidden}`)],
  ['a chunk size with a sign', post('Transfer-Encoding: chunked', `-1\r\n${hidden}`)],
  ['a chunk that is longer than it says', post('Transfer-Encoding: chunked', `1\r\nab\r\n0\r\n\r\n${hidden}`)],
  ['a folded header', post('Transfer-Encoding:\r\n chunked\r\nX: y', `0\r\n\r\n${hidden}`)],
  ['a bare carriage return', post('X: y\rTransfer-Encoding: chunked', `0\r\n\r\n${hidden}`)],
  ['a null in a header', post('X: a\0b', hidden)],
  ['two hosts', `GET /first HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n`],
])('smuggling by %s: refused, and what follows is not read', async (_, request) => {
  const { server, errors, seen } = await start();
  const answer = await exchange(server.url, request);
  expect(statuses(answer).at(-1), answer).toBe(400);
  expect(seen.filter((line) => line.includes('/hidden'))).toEqual([]);
  expect(errors).toEqual([]);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
  await server.close();
});

test.each([
  ['one header', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(100_000)}\r\n\r\n`],
  ['a path', `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
  ['many headers', `GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(20_000)}\r\n`],
  ['a trailer', post('Transfer-Encoding: chunked', `0\r\nA: ${'a'.repeat(100_000)}\r\n\r\n`)],
])('huge: %s', async (_, request) => {
  const { server, errors } = await start();
  const answer = await exchange(server.url, request);
  // It is cut while it still sends: the answer may be lost with the connection, as it is with every server.
  for (const status of statuses(answer)) expect(status).toBe(431);
  expect(errors).toEqual([]);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
  await server.close();
});

test('slow loris: connections that send a byte now and then are cut, and others are served meanwhile', async () => {
  const { server, errors } = await start();
  const { port, hostname } = new URL(server.url);
  const drips = Array.from({ length: 50 }, (_, i) => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    // Half of them in their headers, half in their body.
    socket.write(
      i % 2 === 0 ? 'GET / HTTP/1.1\r\nHost: x\r\nA: ' : 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n',
    );
    const timer = setInterval(() => socket.write('a'), 50);
    return new Promise<void>((resolve) => {
      socket.on('close', () => {
        clearInterval(timer);
        resolve();
      });
    });
  });
  await eventually(() => expect(server.statistics().connections).toBeGreaterThan(0));
  const served = await fetch(server.url, { headers: { connection: 'close' } });
  expect(await served.text()).toBe('ok');
  await Promise.all(drips);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
  expect(errors).toEqual([]);
  await server.close();
});

/** A small generator of numbers that can be repeated: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CORPUS = [
  'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'GET /a%20b?c=%FF&d=[] HTTP/1.1\r\nHost: x:80\r\nCookie: a=b; c="d"\r\nRange: bytes=0-\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}',
  'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: t\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 61\r\n\r\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nvalue\r\n--b--\r\n',
  'PUT /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
  'HEAD http://x/absolute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0',
  '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003',
];

/** Cuts, doubles, swaps and damages. */
function mutate(text: string, next: () => number): Buffer {
  const bytes = [...Buffer.from(text, 'latin1')];
  for (let times = 1 + Math.floor(next() * 4); times > 0; times--) {
    const at = Math.floor(next() * bytes.length);
    const length = Math.floor(next() * 12);
    const choice = next();
    if (choice < 0.3) bytes[at] = Math.floor(next() * 256);
    else if (choice < 0.5) bytes.splice(at, length);
    else if (choice < 0.7) bytes.splice(at, 0, ...bytes.slice(at, at + length));
    else if (choice < 0.85)
      bytes.splice(
        at,
        0,
        ...Buffer.from(['\r\n', '\0', ': ', '\r\n\r\n', '%', '\xff'][Math.floor(next() * 6)] as string, 'latin1'),
      );
    else bytes.length = at;
  }
  return Buffer.from(bytes);
}

test('a fuzzed corpus leaves nothing behind, and the server serves on', { timeout: 120_000 }, async () => {
  const { server, errors } = await start({ limits: { keepAliveTimeout: 100 } });
  const next = random(SEED);
  const mutants = Array.from({ length: MUTANTS }, (_, i) => mutate(CORPUS[i % CORPUS.length] as string, next));
  const worker = async () => {
    for (let bytes = mutants.pop(); bytes !== undefined; bytes = mutants.pop()) {
      const answer = await exchange(server.url, bytes);
      for (const status of statuses(answer)) {
        expect(
          [100, 200, 400, 404, 405, 408, 413, 417, 426, 431, 501, 505],
          `${answer}\n${bytes.toString('latin1')}`,
        ).toContain(status);
      }
    }
  };
  await Promise.all(Array.from({ length: 40 }, worker));
  expect(errors).toEqual([]);
  expect(await (await fetch(server.url, { headers: { connection: 'close' } })).text()).toBe('ok');
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, webSockets: 0, connections: 0 }));
  await server.close();
});

test.each([
  ['is cancelled', true],
  ['is told by its read', false],
])(
  'a client who leaves in the middle of its upload: the handler %s, and nothing is left',
  async (_, cancelOnDisconnect) => {
    const errors: unknown[] = [];
    const outcomes: string[] = [];
    const server = await serve(
      async (request) => {
        outcomes.push('begun');
        try {
          await request.text();
          await sleep(0);
        } catch (error) {
          outcomes.push((error as Error).name === 'CancelledError' ? 'cancelled' : 'told');
          throw error;
        }
        return new Response('never');
      },
      { port: 0, cancelOnDisconnect, onError: (error) => errors.push(error) },
    );
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf');
    await eventually(() => expect(outcomes).toEqual(['begun']));
    socket.destroy();
    await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
    expect(outcomes).toHaveLength(2);
    expect([server.statistics().cancelled, errors]).toEqual([1, []]);
    await server.close();
  },
);

/** What a request of HTTP/2 is answered with; `'reset'` if it is not. */
async function askHttp2(
  client: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer,
): Promise<number | 'reset'> {
  const stream = client.request({ ':path': '/', ...headers });
  stream.on('error', () => {});
  const answered = new Promise<number | 'reset'>((resolve) => {
    stream.on('response', (response) => resolve(response[':status'] as number));
    stream.on('close', () => resolve('reset'));
  });
  stream.end(body);
  stream.resume();
  return await answered;
}

test('the limits hold for HTTP/2', async () => {
  const { server, errors } = await start({ http2: true, limits: { keepAliveTimeout: 200 } });
  const client = connectHttp2(server.url);
  client.on('error', () => {});
  const ended = new Promise((resolve) => client.on('close', resolve));
  expect(await askHttp2(client, {})).toBe(200);
  expect(await askHttp2(client, { ':method': 'POST' }, Buffer.alloc(9_000))).toBe(200);
  expect(await askHttp2(client, { ':method': 'POST' }, Buffer.alloc(20_000))).toBe(413);
  expect(await askHttp2(client, { ':method': 'POST', 'content-length': 20_000 }, Buffer.alloc(20_000))).toBe(413);
  // Nothing more is asked: the idle connection is closed.
  await ended;
  const another = connectHttp2(server.url);
  another.on('error', () => {});
  expect([431, 'reset']).toContain(await askHttp2(another, { a: 'a'.repeat(40_000) }));
  another.destroy();
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, connections: 0 }));
  expect(errors).toEqual([]);
  await server.close();
});

// Node's own client says that the body is whole before it resets: raw frames do not.
test.each([
  ['NO_ERROR', 0],
  ['INTERNAL_ERROR', 2],
  ['CANCEL', 8],
])('an HTTP/2 upload that is reset in its middle (%s) is never taken for a whole one', async (_, code) => {
  const errors: unknown[] = [];
  const outcomes: string[] = [];
  const server = await serve(
    async (request) => {
      outcomes.push('begun');
      const text = await request.text().catch((error) => {
        outcomes.push('told');
        throw error;
      });
      outcomes.push(`read ${text}`);
      return new Response();
    },
    { port: 0, http2: true, onError: (error) => errors.push(error) },
  );
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(preface());
  socket.write(frame(1, 4, 1, headerBlock('POST', '/', { 'content-length': '1000' })));
  socket.write(frame(0, 0, 1, Buffer.from('half')));
  await eventually(() => expect(outcomes).toEqual(['begun']));
  socket.write(frame(3, 0, 1, Buffer.of(0, 0, 0, code)));
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1, failed: 0 }));
  expect([outcomes, errors]).toEqual([['begun', 'told'], []]);
  socket.destroy();
  await server.close();
});

test.each([
  ['breaks off', '', null],
  ['breaks the protocol', '\x7f\x7f\x7f\x7f', null],
  ['breaks the protocol before it is answered', '\x81\x80\0\0\0\0\x7f\x7f\x7f\x7f', 'late'],
])('a WebSocket client that %s is no failure of the handler', async (_, bytes, answer) => {
  const errors: unknown[] = [];
  const outcomes: string[] = [];
  const options = { port: 0, onError: (error: unknown) => errors.push(error) };
  const handler = () =>
    acceptWebSocket(async (socket) => {
      outcomes.push('begun');
      try {
        for await (const _message of socket) {
          await new Promise(setImmediate);
          if (answer !== null) await socket.send(answer);
        }
      } catch (error) {
        outcomes.push((error as Error).name);
        throw error;
      }
    });
  await using server = await serve(handler, options);
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => {}).resume();
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  socket.write(`GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\n\r\n`);
  await eventually(() => expect(outcomes).toEqual(['begun']));
  if (bytes === '') socket.destroy();
  else socket.write(bytes, 'latin1');
  await eventually(() => expect(server.statistics()).toMatchObject({ webSockets: 0, connections: 0 }));
  expect([outcomes, errors]).toEqual([['begun', 'WebSocketClosedError'], []]);
  socket.destroy();
});

test('a WebSocket handler that sends after its own close has failed', async () => {
  const errors: unknown[] = [];
  const handler = () =>
    acceptWebSocket(async (socket) => {
      await socket.close();
      await socket.send('late');
    });
  await using server = await serve(handler, { port: 0, onError: (error) => errors.push(error) });
  await using session = new ClientSession();
  await using socket = await session.wsConnect(server.url);
  expect(await socket.receive()).toBe(null);
  await eventually(() => expect(errors).toMatchObject([{ name: 'WebSocketClosedError' }]));
});
