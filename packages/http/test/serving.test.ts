import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as nodeRequest } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { currentDeadline, Future, sleep } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { eventStream, message, route, type ServeOptions, serve, streamed } from '@aiokit/http/server';
import { Hono } from 'hono';
import { expect, test, vi } from 'vitest';
import { certificate } from './support/certificate.ts';
import { eventually } from './support/eventually.ts';

/** Sends raw bytes and gives back everything that comes until the connection closes. */
async function raw(url: string, ...pieces: string[]): Promise<string> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await closed;
  return text;
}

test('route() says for some requests what serve() says for all', async () => {
  const ended: string[] = [];
  const app = new Hono();
  const hang = async () => {
    try {
      await sleep(60_000);
    } finally {
      ended.push('ended');
    }
    return new Response('late');
  };
  const started = new Future<void>();
  app.get('/limited', route({ requestTimeout: 30 }), hang);
  app.post('/leave', route({ cancelOnDisconnect: true }), () => {
    started.setResult();
    return hang();
  });
  const log = vi.spyOn(console, 'error');
  await using server = await serve(app, { port: 0 });
  expect((await fetch(`${server.url}/limited`)).status).toBe(504);
  expect(ended).toEqual(['ended']);
  const outgoing = nodeRequest(`${server.url}/leave`, { method: 'POST' }).on('error', () => {});
  outgoing.end();
  await started;
  outgoing.destroy();
  await eventually(() => expect(ended).toEqual(['ended', 'ended']));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});

test("a client's own deadline is the handler's, if it is asked for", async () => {
  await using server = await serve(
    async () => {
      expect(currentDeadline()).not.toBeNull();
      await sleep(60_000);
      return new Response('late');
    },
    { port: 0, deadlineHeader: 'x-timeout-ms', requestTimeout: 30_000 },
  );
  expect((await fetch(server.url, { headers: { 'x-timeout-ms': '30' } })).status).toBe(504);
});

test('streamed() and eventStream() send what an async iterable gives', async () => {
  const app = new Hono();
  app.get('/text', () =>
    streamed(async function* () {
      yield 'ä';
      await sleep(1);
      yield new Uint8Array([33]);
    }),
  );
  app.get('/events', () =>
    eventStream(async function* () {
      yield 'plain\ntext';
      yield { data: 'whole' };
      yield message({ data: { a: 1 }, event: 'tick', id: '7', retry: 10 });
    }),
  );
  await using server = await serve(app, { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url });
  const text = await session.get('/text');
  expect([await text.text(), text.contentType]).toEqual(['ä!', 'text/plain']);
  const events = await session.get('/events');
  expect(events.contentType).toBe('text/event-stream');
  expect(await Array.fromAsync(events.events())).toEqual([
    { event: 'message', data: 'plain\ntext', id: '' },
    { event: 'message', data: '{"data":"whole"}', id: '' },
    { event: 'tick', data: '{"a":1}', id: '7' },
  ]);
});

test('TLS, HTTP/2 and a Unix domain socket', async () => {
  const { key, cert } = await certificate();
  const app = new Hono();
  app.get('/', (c) => c.text(c.req.url.split(':')[0] as string));
  await using secure = await serve(app, { port: 0, tls: { key, cert }, http2: true });
  expect(secure.url).toMatch(/^https:/);
  for (const http2 of [false, true]) {
    await using session = new ClientSession({ http2, connection: { ca: cert } });
    expect(await session.get(secure.url).text()).toBe('https');
  }
  await using strict = new ClientSession();
  await expect(strict.get(secure.url)).rejects.toMatchObject({ name: 'ClientConnectionError' });
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-http-'));
  try {
    const socketPath = join(directory, 'http.sock');
    await using server = await serve(app, { socketPath });
    expect(server.url).toBe(socketPath);
    await using session = new ClientSession({ socketPath });
    expect(await session.get('http://any.host/').text()).toBe('http');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a reset HTTP/2 stream cancels its request, and only that', async () => {
  const ended: string[] = [];
  const started = new Future<void>();
  await using server = await serve(
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/hang') started.setResult();
      try {
        await sleep(pathname === '/hang' ? 60_000 : 50);
        ended.push(`${pathname} finished`);
      } catch (error) {
        ended.push(`${pathname} ${(error as Error).name}`);
        throw error;
      }
      return new Response('done');
    },
    { port: 0, http2: true },
  );
  const client = connectHttp2(server.url);
  const hang = client.request({ ':path': '/hang' });
  hang.on('error', () => {});
  const other = client.request({ ':path': '/other' });
  await started;
  hang.close(constants.NGHTTP2_CANCEL);
  let text = '';
  for await (const chunk of other.setEncoding('utf8')) text += chunk;
  expect(text).toBe('done');
  expect(ended).toEqual(['/hang CancelledError', '/other finished']);
  client.close();
});

test('HTTP/2: a stream that fails is reset as failed, so that nobody takes half of it for the whole', async () => {
  const errors: unknown[] = [];
  const half = async function* () {
    yield 'half';
    await sleep(1);
    throw new Error('secret');
  };
  const options = { port: 0, http2: true, onError: (error: unknown) => errors.push(error) };
  await using server = await serve(() => streamed(half), options);
  const client = connectHttp2(server.url);
  const stream = client.request({ ':path': '/' }).setEncoding('utf8');
  let text = '';
  stream.on('data', (chunk) => {
    text += chunk;
  });
  await expect(once(stream, 'end')).rejects.toThrow('Stream closed with error code NGHTTP2_INTERNAL_ERROR');
  expect([text, errors]).toMatchObject(['half', [{ message: 'secret' }]]);
  client.close();
});

test.each([
  ['too many headers', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ['nonsense', 'nonsense\r\n\r\n', 400],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  [
    'both length and chunks',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc', 400],
  ['a header with a bare line feed', 'GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n', 400],
  ['a body that says it is too large', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n', 413],
  [
    'a body that is too large',
    `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n${'x'.repeat(2000)}\r\n`,
    413,
  ],
])('%s is answered with the right status, and the connection closed', async (_, request, status) => {
  const errors: unknown[] = [];
  await using server = await serve(async (request) => new Response(`${(await request.text()).length}`), {
    port: 0,
    limits: { bodySize: 1_000 },
    onError: (error) => errors.push(error),
  });
  expect(await raw(server.url, request)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(errors).toEqual([]);
  expect(server.statistics()).toMatchObject({ active: 0 });
});

test('clients that send too slowly are cut', async () => {
  await using server = await serve(() => new Response('ok'), { port: 0, limits: { headersTimeout: 100 } });
  expect(await raw(server.url, 'GET / HTTP/1.1\r\n', 'Host: x\r\n')).toMatch(/^HTTP\/1.1 408 /);
});

test('clients that do not take their answer are cut', async () => {
  await using server = await serve(
    () =>
      streamed(async function* () {
        for (;;) yield new Uint8Array(64 * 1024);
      }),
    { port: 0, limits: { sendTimeout: 100 } },
  );
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => expect(server.statistics().active).toBe(1));
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1 }));
  socket.destroy();
});

/** The server of programs/graceful.ts in a process of its own. */
async function program() {
  const file = fileURLToPath(new URL('programs/graceful.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@aiokit/source', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    exited: once(child, 'exit'),
    url: (await lines.next()).value as string,
    line: async () => (await lines.next()).value,
  };
}

test('SIGTERM lets what was accepted finish, and ends the process by that signal', async () => {
  const { child, exited, url, line } = await program();
  const slow = fetch(`${url}/slow`);
  expect(await line()).toBe('slow');
  child.kill('SIGTERM');
  const response = await slow;
  expect([response.status, await response.text()]).toEqual([200, 'whole']);
  expect(await exited).toEqual([null, 'SIGTERM']);
});

test('a second signal ends the process at once', async () => {
  const { child, exited, url, line } = await program();
  const hanging = fetch(`${url}/hang`);
  hanging.catch(() => {});
  expect(await line()).toBe('hang');
  child.kill('SIGTERM');
  await eventually(() => expect(fetch(url)).rejects.toThrow());
  child.kill('SIGINT');
  expect(await exited).toEqual([null, 'SIGINT']);
  await expect(hanging).rejects.toThrow();
});

test('no request is lost while a server under load closes', async () => {
  const options: ServeOptions = { port: 0 };
  let handled = 0;
  const server = await serve(async () => {
    await sleep(5);
    handled++;
    return new Response('ok');
  }, options);
  await using session = new ClientSession({ limit: 20, limitPerHost: 20 });
  let answered = 0;
  const refused: unknown[] = [];
  const clients = Array.from({ length: 20 }, async () => {
    for (;;) {
      try {
        expect(await session.get(server.url).text()).toBe('ok');
        answered++;
      } catch (error) {
        refused.push(error);
        return;
      }
    }
  });
  await eventually(() => expect(answered).toBeGreaterThan(100));
  await server.close();
  await Promise.all(clients);
  expect(answered).toBe(handled);
  // A connection that the kernel had made and the server not yet taken is reset, all others are refused.
  for (const error of refused) expect((error as { code: string }).code).toMatch(/^ECONN(REFUSED|RESET)$/);
  expect(refused).toHaveLength(20);
});

test('a client that has just connected is answered although the server closes', async () => {
  const server = await serve(() => new Response('whole'), { port: 0 });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  let text = '';
  socket.on('error', () => {});
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await eventually(() => expect(server.statistics().connections).toBe(1));
  const closing = server.close();
  // Longer than idle connections are kept.
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => expect(socket.closed).toBe(true));
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*connection: close[\s\S]*whole$/i);
  await closing;
});

test('a large answer to a slow client arrives whole while the server closes', async () => {
  const size = 20 * 2 ** 20;
  const server = await serve(() => new Response(new Uint8Array(size)), { port: 0 });
  const outgoing = nodeRequest(server.url);
  outgoing.end();
  const [incoming] = await once(outgoing, 'response');
  incoming.pause();
  const closing = server.close();
  await new Promise((resolve) => setTimeout(resolve, 300));
  let received = 0;
  for await (const chunk of incoming) received += chunk.length;
  expect(received).toBe(size);
  await closing;
});
