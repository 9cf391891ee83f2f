import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { CancelledError, createTask, Future, gather, type Task } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { certificate } from './support/certificate.ts';
import { eventually } from './support/eventually.ts';
import { frame } from './support/http2-frames.ts';

async function http2Server(onStream: (stream: ServerHttp2Stream, path: string) => void) {
  const tls = await certificate();
  const server = createSecureServer({ ...tls, allowHTTP1: true }, (request, response) => {
    if (request.httpVersionMajor === 1) response.end('HTTP/1.1');
  });
  let sessions = 0;
  server.on('session', () => sessions++);
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    onStream(stream, headers[':path'] as string);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connection: { ca: tls.cert },
    sessions: () => sessions,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

test('HTTP/2 is spoken where it is wanted and offered', async () => {
  await using server = await http2Server((stream) => stream.respond({ ':status': 200 }) ?? stream.end('HTTP/2'));
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  expect(await session.get('/').text()).toBe('HTTP/2');
  await using old = new ClientSession({ baseUrl, connection });
  expect(await old.get('/').text()).toBe('HTTP/1.1');
});

test.each(['DELETE', 'OPTIONS', 'QUERY', 'POST'])('a %s with a body is sent', async (method) => {
  await using server = await http2Server(async (stream) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    stream.respond({ ':status': 200 });
    stream.end(Buffer.concat(chunks));
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  expect(await session.request(method, '/', { json: { a: 1 } }).text()).toBe('{"a":1}');
  expect(await session.request(method, '/', { body: () => new Blob(['stream']).stream() }).text()).toBe('stream');
});

// Node's own server says that the body is whole before it resets: raw frames do not.
test.each([0, 8])(
  'a body that is reset before its content-length (code %i) is not taken for a whole one',
  async (code) => {
    const tls = await certificate();
    const okWithLength100 = Buffer.from([0x88, 0x0f, 0x0d, 0x03, 0x31, 0x30, 0x30]); // HPACK
    const server = createTlsServer({ ...tls, ALPNProtocols: ['h2'] }, (socket) => {
      socket.on('error', () => {}).write(frame(4, 0, 0, Buffer.alloc(0)));
      socket.once('data', () => {
        socket.write(frame(4, 1, 0, Buffer.alloc(0)));
        socket.write(frame(1, 4, 1, okWithLength100));
        socket.write(frame(0, 0, 1, Buffer.from('half')));
        socket.write(frame(3, 0, 1, Buffer.of(0, 0, 0, code)));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using session = new ClientSession({ http2: true, connection: { ca: tls.cert } });
    await expect(session.get(`https://127.0.0.1:${port}/`).text()).rejects.toThrow('before its content-length');
    expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
    server.close();
  },
);

test('an answer in the middle of a large body is not lost', async () => {
  await using server = await http2Server((stream) => {
    stream.once('data', () => {
      stream.respond({ ':status': 413 });
      stream.end('too large');
      stream.close(); // With NO_ERROR: the rest is not wanted.
    });
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  const response = await session.post('/', { body: Buffer.alloc(30 * 2 ** 20) });
  expect([response.status, await response.text()]).toEqual([413, 'too large']);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a GET with a body is refused at the call', async () => {
  await using session = new ClientSession({ http2: true });
  expect(() => session.get('https://127.0.0.1/', { json: {} })).toThrow(
    new TypeError('GET https://127.0.0.1/ has a body, which a session with http2 cannot send: use one without it'),
  );
});

test('a certificate for another host fails the request, and the session goes on', async () => {
  await using server = await http2Server((stream) => stream.respond({ ':status': 200 }) ?? stream.end('fine'));
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  for (let i = 0; i < 3; i++) {
    const elsewhere = session.get('/', { headers: { host: 'other.test' } });
    await expect(elsewhere).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(await session.get('/').text()).toBe('fine');
  }
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test.each([
  ['waits for the answer', false],
  ['reads the body', true],
])('a cancel while it %s resets its stream and leaves the others on the connection alone', async (_, answers) => {
  const streams = new Map<string, ServerHttp2Stream>();
  await using server = await http2Server((stream, path) => {
    streams.set(path, stream);
    if (path === '/first') return void (stream.respond({ ':status': 200 }) ?? stream.end('first'));
    if (path === '/kept' || answers) stream.respond({ ':status': 200 });
    if (answers) stream.write('half');
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  expect(await session.get('/first').text()).toBe('first'); // From now on there is a connection to share.
  const kept = createTask(() => session.get('/kept').text());
  const reading = new Future<void>();
  const cancelled = createTask(async () => {
    const response = await session.get('/cancelled');
    const text = response.text();
    reading.setResult();
    await text;
  }) as Task<unknown>;
  await eventually(() => expect(streams.size).toBe(3));
  if (answers) await reading;
  cancelled.cancel();
  await expect(cancelled).rejects.toBeInstanceOf(CancelledError);
  const reset = streams.get('/cancelled') as ServerHttp2Stream;
  await eventually(() => expect(reset.aborted).toBe(true));
  streams.get('/kept')?.end(' and whole');
  expect(await kept).toBe(answers ? 'half and whole' : ' and whole');
  expect(await session.get('/first').text()).toBe('first');
  expect(server.sessions()).toBe(1);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('100 streams on one connection, half of them cancelled', async () => {
  const held: ServerHttp2Stream[] = [];
  await using server = await http2Server((stream, path) => {
    stream.respond({ ':status': 200 });
    if (path === '/first') stream.end('first');
    else held.push(stream);
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true, limit: 1_000 });
  await session.get('/first').bytes();
  const tasks = Array.from({ length: 100 }, () => createTask(() => session.get('/held').text()) as Task<string>);
  await eventually(() => expect(held).toHaveLength(100));
  for (const [i, task] of tasks.entries()) if (i % 2) task.cancel();
  for (const stream of held) if (!stream.destroyed) stream.end('answer');
  const answers = await Promise.allSettled(tasks);
  expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(50);
  expect(answers.filter((answer) => answer.status === 'fulfilled' && answer.value === 'answer')).toHaveLength(50);
  expect(server.sessions()).toBe(1);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a POST and an upload do not wait for what is open on the connection', async () => {
  await using server = await http2Server(async (stream, path) => {
    stream.respond({ ':status': 200 });
    if (path === '/feed') return void stream.write('for ever');
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    stream.end(Buffer.concat(chunks));
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  await using feed = await session.get('/feed');
  expect(feed.status).toBe(200);
  expect(await session.post('/', { json: [1] }).text()).toBe('[1]');
  expect(server.sessions()).toBe(1);
  async function* source() {
    yield 'str';
    yield 'eam';
  }
  expect(await session.post('/', { body: source() }).text()).toBe('stream');
});

test('a server that says goodbye finishes what it has begun, and the next request gets another connection', async () => {
  const streams = new Map<string, ServerHttp2Stream>();
  await using server = await http2Server((stream, path) => {
    streams.set(path, stream);
    stream.respond({ ':status': 200 });
    if (path === '/next') stream.end('next');
    else stream.write('half');
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  const one = await session.get('/one');
  const two = await session.get('/two');
  expect(server.sessions()).toBe(1);
  streams.get('/one')?.session?.goaway(0);
  streams.get('/one')?.end(' and whole');
  expect(await one.text()).toBe('half and whole');
  expect(await session.get('/next').text()).toBe('next');
  expect(server.sessions()).toBe(2);
  streams.get('/two')?.end(' and whole');
  expect(await two.text()).toBe('half and whole');
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('what was under way when its connection broke has failed, and is not sent again behind your back', async () => {
  const posts: ServerHttp2Stream[] = [];
  await using server = await http2Server((stream, path) => {
    if (path === '/post') return void posts.push(stream);
    stream.respond({ ':status': 200 });
    stream.end('first');
  });
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true });
  await session.get('/first').bytes();
  const calls = Array.from({ length: 5 }, () => session.post('/post', { json: 1 }).text());
  const settled = Promise.allSettled(calls);
  await eventually(() => expect(posts).toHaveLength(5));
  posts[0]?.session?.destroy();
  for (const result of await settled) expect(result).toMatchObject({ reason: { name: 'ClientConnectionError' } });
  expect(await session.get('/first').text()).toBe('first');
  expect(posts).toHaveLength(5);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

/** Names are looked up when the test says so: until then connections are being made. */
function heldLookup() {
  const asked: ((error: Error | null, addresses?: object[]) => void)[] = [];
  const lookup = (_host: string, _options: object, callback: (error: Error | null, addresses?: object[]) => void) =>
    void asked.push(callback);
  const answer = (error: Error | null = null) => {
    for (const callback of asked.splice(0)) callback(error, [{ address: '127.0.0.1', family: 4 }]);
  };
  return { lookup, asked, answer };
}

test('a burst shares the first connection, which nobody knew to be HTTP/2, and makes one more per 100', async () => {
  await using server = await http2Server((stream) => stream.respond({ ':status': 200 }) ?? stream.end('HTTP/2'));
  const { url: baseUrl, connection } = server;
  await using session = new ClientSession({ baseUrl, connection, http2: true, limit: 1_000 });
  expect(await gather(Array.from({ length: 100 }, () => () => session.get('/').text()))).toEqual(
    Array(100).fill('HTTP/2'),
  );
  expect(server.sessions()).toBe(1);
  const held: ServerHttp2Stream[] = [];
  await using slow = await http2Server((stream) => void held.push(stream));
  await using other = new ClientSession({ baseUrl: slow.url, connection: slow.connection, http2: true, limit: 1_000 });
  const calls = gather(Array.from({ length: 250 }, () => () => other.get('/').text()));
  await eventually(() => expect(held).toHaveLength(250));
  expect(slow.sessions()).toBe(3);
  for (const stream of held) stream.respond({ ':status': 200 }) ?? stream.end('slow');
  expect(await calls).toEqual(Array(250).fill('slow'));
  await eventually(() => expect(other.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a burst to a server that speaks HTTP/1.1 only goes for a connection each, once that is known', async () => {
  const tls = await certificate();
  const arrived: ServerResponse[] = [];
  const server = createHttpsServer(tls, (_, response) => void arrived.push(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await using session = new ClientSession({ baseUrl, connection: { ca: tls.cert }, http2: true });
  const calls = gather(Array.from({ length: 10 }, () => () => session.get('/').text()));
  await eventually(() => expect(arrived).toHaveLength(10));
  for (const response of arrived) response.end('HTTP/1.1');
  expect(await calls).toEqual(Array(10).fill('HTTP/1.1'));
  server.close();
});

test.each([0, 1, 2])(
  'who is cancelled while a shared connection is being made strands nobody (number %i)',
  async (leaving) => {
    await using server = await http2Server((stream) => stream.respond({ ':status': 200 }) ?? stream.end('HTTP/2'));
    const { lookup, asked, answer } = heldLookup();
    const connection = { ...server.connection, lookup: lookup as never };
    const baseUrl = server.url.replace('127.0.0.1', 'localhost');
    await using session = new ClientSession({ baseUrl, connection, http2: true });
    const tasks = [0, 1, 2].map(() => createTask(() => session.get('/').text()) as Task<string>);
    await eventually(() => expect(session.statistics().active).toBe(3));
    expect(asked).toHaveLength(1);
    tasks[leaving]!.cancel();
    await expect(tasks[leaving]).rejects.toBeInstanceOf(CancelledError);
    expect(session.statistics()).toEqual({ active: 2, waiting: 0 });
    answer();
    for (const task of tasks.toSpliced(leaving, 1)) expect(await task).toBe('HTTP/2');
    expect(server.sessions()).toBe(1);
    await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  },
);

test('a connection that nobody waits for any more is given up, and the next request makes another one', async () => {
  await using server = await http2Server((stream) => stream.respond({ ':status': 200 }) ?? stream.end('HTTP/2'));
  const { lookup, asked, answer } = heldLookup();
  const connection = { ...server.connection, lookup: lookup as never };
  const baseUrl = server.url.replace('127.0.0.1', 'localhost');
  await using session = new ClientSession({ baseUrl, connection, http2: true, limit: 3 });
  const tasks = [0, 1, 2].map(() => createTask(() => session.get('/').text()) as Task<string>);
  await eventually(() => expect(asked).toHaveLength(1));
  const next = session.get('/').text(); // Gets its place in the middle of it all.
  for (const task of tasks) task.cancel();
  for (const task of tasks) await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(session.statistics()).toEqual({ active: 1, waiting: 0 });
  answer();
  expect(await next).toBe('HTTP/2');
  expect(server.sessions()).toBe(1);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('when a shared connection cannot be made, each who waits is told, and each has its own time limit', async () => {
  const { lookup, asked, answer } = heldLookup();
  await using session = new ClientSession({
    baseUrl: 'https://nowhere.test',
    connection: { lookup: lookup as never },
    http2: true,
  });
  const first = session.get('/a');
  const impatient = session.get('/b', { timeout: { sockConnect: 20 } });
  const last = session.post('/c', { json: 1 });
  const settled = Promise.allSettled([first, last]);
  await expect(impatient).rejects.toMatchObject({ phase: 'sockConnect', url: 'https://nowhere.test/b' });
  expect(asked).toHaveLength(1);
  answer(Object.assign(new Error('not known'), { code: 'ENOTFOUND' }));
  expect(await settled).toMatchObject([
    { reason: { name: 'ClientConnectionError', code: 'ENOTFOUND', message: 'GET https://nowhere.test/a: not known' } },
    { reason: { name: 'ClientConnectionError', code: 'ENOTFOUND', message: 'POST https://nowhere.test/c: not known' } },
  ]);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('a session that closes while a shared connection is being made leaves nobody waiting', async () => {
  const { lookup, asked } = heldLookup();
  const session = new ClientSession({
    baseUrl: 'https://nowhere.test',
    connection: { lookup: lookup as never },
    http2: true,
  });
  const calls = Promise.allSettled([session.get('/a'), session.get('/b')]);
  await eventually(() => expect(asked).toHaveLength(1));
  await session.close();
  for (const { status, reason } of (await calls) as PromiseRejectedResult[]) {
    expect(status).toBe('rejected');
    expect(reason.message).toContain('The session was closed');
  }
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('who waits for another connection goes over the first one as soon as that has room', async () => {
  const held: ServerHttp2Stream[] = [];
  await using server = await http2Server((stream) => void held.push(stream));
  const { lookup, asked, answer } = heldLookup();
  const connection = { ...server.connection, lookup: lookup as never };
  const baseUrl = server.url.replace('127.0.0.1', 'localhost');
  await using session = new ClientSession({ baseUrl, connection, http2: true, limit: 1_000 });
  const texts = Array.from({ length: 102 }, () => session.get('/').text());
  const all = Promise.all(texts);
  const finish = (stream: ServerHttp2Stream) => stream.respond({ ':status': 200 }) ?? stream.end('done');
  await eventually(() => expect(asked).toHaveLength(1));
  answer();
  await eventually(() => expect(held).toHaveLength(100));
  await eventually(() => expect(asked).toHaveLength(1)); // The 101st has begun another connection, the 102nd waits for it.
  finish(held[0]!);
  await eventually(() => expect(held).toHaveLength(101));
  expect(await texts[0]).toBe('done');
  expect(server.sessions()).toBe(1);
  answer();
  await eventually(() => expect(held).toHaveLength(102));
  for (const stream of held.slice(1)) finish(stream);
  expect(await all).toEqual(Array(102).fill('done'));
  expect(server.sessions()).toBe(2);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});
