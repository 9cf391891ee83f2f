import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request as nodeRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledError, createTask, currentTask, Future, shield, sleep } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { background, type FetchApp, type ServeOptions, serve, streamed } from '@aiokit/http/server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { expect, test, vi } from 'vitest';
import { eventually, settled } from './support/eventually.ts';
import { rejection } from './support/http-server.ts';

const start = (app: FetchApp, options: ServeOptions = {}) => serve(app, { port: 0, ...options });

/** A handler that hangs until it is cancelled, and says so. */
function hanging() {
  const started = new Future<void>();
  const ended = new Future<unknown>();
  const handle = async (): Promise<Response> => {
    started.setResult();
    try {
      await sleep(60_000);
      ended.setResult('finished');
    } catch (error) {
      ended.setResult(error);
      throw error;
    }
    return new Response('late');
  };
  return { handle, started, ended };
}

/** A client that sends and can leave. */
function client(url: string, options: { method?: string; path?: string } = {}) {
  const outgoing = nodeRequest(new URL(options.path ?? '/', url), { method: options.method ?? 'GET' });
  outgoing.on('error', () => {});
  return outgoing;
}

test('serves a plain function and a hono app, each request as a task with its name', async () => {
  const name = () => currentTask()?.name ?? 'none';
  await using plain = await start((request) => new Response(`${name()} ${new URL(request.url).search}`));
  expect(await (await fetch(`${plain.url}/a/b?c=1`)).text()).toBe('GET /a/b ?c=1');
  const app = new Hono();
  app.post('/echo', async (c) => c.json({ task: name(), body: await c.req.json() }, 201, { 'x-a': 'b' }));
  app.get('/sync', (c) => c.text(name()));
  await using server = await start(app);
  const response = await fetch(`${server.url}/echo`, { method: 'POST', body: '{"a":1}' });
  expect([response.status, response.headers.get('x-a')]).toEqual([201, 'b']);
  expect(await response.json()).toEqual({ task: 'POST /echo', body: { a: 1 } });
  expect(await (await fetch(`${server.url}/sync`)).text()).toBe('GET /sync');
  expect(server.statistics()).toMatchObject({ total: 2, active: 0, cancelled: 0, failed: 0 });
});

test('a client who leaves cancels its GET', async () => {
  const handler = hanging();
  await using server = await start(handler.handle);
  const outgoing = client(server.url);
  outgoing.end();
  await handler.started;
  outgoing.destroy();
  expect(await handler.ended).toBeInstanceOf(CancelledError);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1, failed: 0 }));
});

test('a cancel in a hono handler is neither logged nor counted as a failure', async () => {
  const handler = hanging();
  const app = new Hono();
  app.get('/', handler.handle);
  const log = vi.spyOn(console, 'error');
  await using server = await start(app);
  const outgoing = client(server.url);
  outgoing.end();
  await handler.started;
  outgoing.destroy();
  expect(await handler.ended).toBeInstanceOf(CancelledError);
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1, failed: 0 }));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});

test('a POST goes on when its client leaves, unless cancelOnDisconnect says otherwise', async () => {
  for (const cancelOnDisconnect of [undefined, true]) {
    const started = new Future<void>();
    const release = new Future<void>();
    const ended = new Future<string>();
    await using server = await start(
      async (request) => {
        expect(await request.text()).toBe('upload');
        started.setResult();
        try {
          await release;
          ended.setResult('finished');
        } catch (error) {
          ended.setResult((error as Error).name);
        }
        return new Response('done');
      },
      { cancelOnDisconnect },
    );
    const outgoing = client(server.url, { method: 'POST' });
    outgoing.end('upload');
    await started;
    outgoing.destroy();
    if (cancelOnDisconnect) {
      expect(await ended).toBe('CancelledError');
    } else {
      await eventually(() => expect(server.statistics().connections).toBe(0));
      release.setResult();
      expect(await ended).toBe('finished');
    }
  }
});

test('an upload that has ended is not a client who has left', async () => {
  await using server = await start(
    async (request) => {
      const text = await request.text();
      await sleep(30);
      return new Response(text);
    },
    { cancelOnDisconnect: true },
  );
  const response = await fetch(server.url, { method: 'POST', body: 'whole' });
  expect(await response.text()).toBe('whole');
});

test('an exception is a 500 that shows nothing, with the details in the log', async () => {
  const errors: [unknown, string][] = [];
  const secret = new Error('secret');
  await using server = await start(
    (request) => {
      if (request.url.endsWith('/sync')) throw secret;
      return Promise.reject(secret);
    },
    { onError: (...args) => errors.push(args) },
  );
  for (const path of ['/sync', '/async']) {
    const response = await fetch(server.url + path);
    expect([response.status, await response.text()]).toEqual([500, 'Internal Server Error']);
  }
  expect(errors).toEqual([
    [secret, 'GET /sync'],
    [secret, 'GET /async'],
  ]);
  expect(server.statistics()).toMatchObject({ total: 2, failed: 2 });
});

test('a handler that takes too long is cancelled and its client gets 504', async () => {
  const handler = hanging();
  const app = new Hono();
  app.get('/', handler.handle);
  await using server = await start(app, { requestTimeout: 30 });
  const response = await fetch(server.url);
  expect([response.status, await response.text()]).toEqual([504, 'Gateway Timeout']);
  expect(await handler.ended).toBeInstanceOf(CancelledError);
  expect(server.statistics()).toMatchObject({ timedOut: 1, failed: 0 });
});

test('a streamed answer is pulled no faster than its client takes it, and ends when the client leaves', async () => {
  let pulled = 0;
  const cleaned = new Future<string>();
  await using server = await start(() => {
    async function* source() {
      try {
        for (;;) {
          await sleep(0);
          pulled++;
          yield new Uint8Array(64 * 1024);
        }
      } finally {
        await sleep(5);
        cleaned.setResult(currentTask()?.name ?? 'no task');
      }
    }
    return new Response(ReadableStream.from(source()) as ReadableStream<Uint8Array>);
  });
  const outgoing = client(server.url);
  outgoing.end();
  const [incoming] = await once(outgoing, 'response');
  await settled(() => pulled);
  expect(pulled).toBeLessThan(200);
  incoming.destroy();
  expect(await cleaned).toBe('GET /');
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1, failed: 0 }));
});

test('a stream that fails is cut, so that the client notices', async () => {
  const errors: unknown[] = [];
  await using server = await start(
    () => {
      async function* source() {
        yield new TextEncoder().encode('half');
        throw new Error('secret');
      }
      return new Response(ReadableStream.from(source()) as ReadableStream<Uint8Array>);
    },
    { onError: (error) => errors.push(error) },
  );
  const response = await fetch(server.url);
  const error = await rejection<Error>(response.text());
  expect(error).toBeInstanceOf(TypeError);
  expect(errors).toMatchObject([{ message: 'secret' }]);
});

test("hono's own streaming stops when the client leaves, cleanup included", async () => {
  const steps: string[] = [];
  const done = new Future<void>();
  const app = new Hono();
  app.get('/', (c) =>
    streamSSE(c, async (stream) => {
      try {
        for (let i = 0; ; i++) {
          await stream.writeSSE({ data: String(i) });
          await sleep(5);
        }
      } finally {
        steps.push('cleanup');
        await sleep(10);
        steps.push('cleaned');
        done.setResult();
      }
    }),
  );
  await using server = await start(app);
  const response = await fetch(server.url);
  const reader = response.body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('data: 0');
  await reader.cancel();
  await done;
  expect(steps).toEqual(['cleanup', 'cleaned']);
});

test('background tasks outlive their request and are waited for when the server closes', async () => {
  const release = new Future<void>();
  let done = false;
  const server = await start(() => {
    background(async () => {
      await release;
      done = true;
    });
    return new Response('accepted', { status: 202 });
  });
  expect((await fetch(server.url)).status).toBe(202);
  expect(server.statistics()).toMatchObject({ active: 0, background: 1 });
  const closing = server.close();
  release.setResult();
  await closing;
  expect(done).toBe(true);
});

test('background tasks are cancelled after gracefulTimeout; one that hears nothing of it holds up nobody', async () => {
  const outcomes: string[] = [];
  const release = Promise.withResolvers<void>();
  const server = await start(
    () => {
      background(async () => {
        try {
          await sleep(60_000);
        } finally {
          await sleep(5);
          outcomes.push('cleaned up');
        }
      });
      background(() => release.promise);
      return new Response('accepted', { status: 202 });
    },
    { gracefulTimeout: 20, cancelTimeout: 200 },
  );
  await (await fetch(server.url, { headers: { connection: 'close' } })).text();
  await server.close();
  expect(outcomes).toEqual(['cleaned up']);
  expect(server.statistics()).toMatchObject({ background: 1, connections: 0 });
  release.resolve();
  await eventually(() => expect(server.statistics().background).toBe(0));
});

test('requestTimeout is for the answer to begin: a stream may take longer', async () => {
  const rest = new Future<void>();
  const source = async function* () {
    yield 'half, ';
    await rest;
    yield 'whole';
  };
  await using server = await start(() => streamed(source), { requestTimeout: 50 });
  const response = await fetch(server.url);
  await sleep(100);
  rest.setResult();
  expect(await response.text()).toBe('half, whole');
  expect(server.statistics()).toMatchObject({ timedOut: 0, cancelled: 0 });
});

test('close() lets requests end, then cancels them, then returns', async () => {
  const handler = hanging();
  const finishing = new Future<void>();
  const server = await start(
    async (request) => {
      if (request.url.endsWith('/hang')) return handler.handle();
      await finishing;
      return new Response('finished');
    },
    { gracefulTimeout: 100, cancelTimeout: 1_000 },
  );
  const hang = fetch(`${server.url}/hang`);
  const finish = fetch(`${server.url}/finish`);
  await handler.started;
  await eventually(() => expect(server.statistics().active).toBe(2));
  const closing = server.close();
  expect(server.closing).toBe(true);
  finishing.setResult();
  const finished = await finish;
  expect([await finished.text(), finished.headers.get('connection')]).toEqual(['finished', 'close']);
  expect((await hang).status).toBe(503);
  expect(await handler.ended).toBeInstanceOf(CancelledError);
  await closing;
  await expect(fetch(server.url)).rejects.toThrow('fetch failed');
});

test('a port that is taken is an error that says what to do', async () => {
  await using server = await start(() => new Response(''));
  const port = Number(new URL(server.url).port);
  const error = await rejection<NodeJS.ErrnoException>(serve(() => new Response(''), { port }));
  expect(error.code).toBe('EADDRINUSE');
  expect(error.message).toBe(
    `Cannot listen on 127.0.0.1:${port}: another program (or an earlier run of this one) listens there. ` +
      'End it, or choose another port; 0 takes a free one',
  );
});

test('a Unix domain socket that a killed program has left is taken over; a live one, or another file, is not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-http-'));
  try {
    const socketPath = join(directory, 'http.sock');
    const leave = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', leave]);
    expect(existsSync(socketPath)).toBe(true);
    await using server = await serve(() => new Response('ok'), { socketPath });
    const error = await rejection<NodeJS.ErrnoException>(serve(() => new Response(), { socketPath }));
    expect(error.message).toBe(
      `Cannot listen on ${socketPath}: another program (or an earlier run of this one) listens there, ` +
        'or it is a file of another kind. End it, or choose another path',
    );
    await using session = new ClientSession({ socketPath });
    expect(await session.get('http://any.host/').text()).toBe('ok');
    await server.close();
    const file = join(directory, 'file');
    await writeFile(file, 'mine');
    expect(await rejection(serve(() => new Response(), { socketPath: file }))).toMatchObject({ code: 'EADDRINUSE' });
    expect(await readFile(file, 'utf8')).toBe('mine');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('what is no app is refused', async () => {
  await expect(serve({} as never)).rejects.toThrow(TypeError);
});

test('pipelined requests are answered in order, and all are cancelled when the client leaves', async () => {
  let started = 0;
  let cancelled = 0;
  await using server = await start(async (request) => {
    if (!request.url.endsWith('/hang')) return new Response(new URL(request.url).pathname);
    started++;
    try {
      await sleep(60_000);
    } finally {
      cancelled++;
    }
    return new Response('late');
  });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  const line = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  socket.write(line('/a') + line('/b') + line('/hang') + line('/hang') + line('/late') + line('/hang'));
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await eventually(() => expect(text).toMatch(/\/a[\s\S]*\/b$/));
  await eventually(() => expect(started).toBe(3));
  socket.destroy();
  await eventually(() => expect(cancelled).toBe(3));
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 3, connections: 0 }));
});

test('a streamed answer that waits for its turn ends when the client leaves', async () => {
  const cleaned = new Future<void>();
  await using server = await start(
    (request) => {
      if (request.url.endsWith('/first')) return sleep(60_000).then(() => new Response());
      async function* source() {
        try {
          for (;;) yield new Uint8Array(64 * 1024);
        } finally {
          cleaned.setResult();
        }
      }
      return streamed(source);
    },
    { cancelOnDisconnect: (request) => request.url.endsWith('/first') },
  );
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /streamed HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => expect(server.statistics().active).toBe(2));
  socket.destroy();
  await cleaned;
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 2, failed: 0 }));
});

test('what a handler has started ends with its request', async () => {
  const ended: string[] = [];
  const run = async (name: string) => {
    try {
      await sleep(60_000);
    } finally {
      ended.push(name);
    }
  };
  await using server = await start(async () => {
    createTask(async () => {
      createTask(() => run('grandchild'));
      await run('child');
    });
    await sleep(5);
    return new Response('answered');
  });
  expect(await (await fetch(server.url)).text()).toBe('answered');
  await eventually(() => expect(server.statistics().active).toBe(0));
  expect(ended.sort()).toEqual(['child', 'grandchild']);
});

test('what shield protects finishes although its request was cancelled, and close() waits for it', async () => {
  const release = new Future<void>();
  const committing = new Future<void>();
  let committed = false;
  const commit = async () => {
    committing.setResult();
    await release;
    committed = true;
  };
  const server = await start(async () => {
    await shield(commit);
    return new Response('late');
  });
  const outgoing = client(server.url);
  outgoing.end();
  await committing;
  outgoing.destroy();
  await eventually(() => expect(server.statistics()).toMatchObject({ active: 0, cancelled: 1, background: 1 }));
  const closing = server.close();
  release.setResult();
  await closing;
  expect(committed).toBe(true);
});
