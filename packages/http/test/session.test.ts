import type { RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { CancelledError, createTask, Future, InvalidStateError, type Task, TimeoutError } from '@aiokit/core';
import { ClientConnectionError, ClientResponseError, ClientSession, ClientTimeoutError } from '@aiokit/http';
import { expect, test } from 'vitest';
import { lateAfter } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

const hang = () => {};

test('sends method, query, headers and JSON to a path below baseUrl', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({
    baseUrl: `${server.url}/api/`,
    headers: { 'X-Team': 'blue', accept: 'application/json' },
    auth: { username: 'ada', password: 'pä:ss' },
  });
  const echoed = await session
    .post('users?a=1', {
      params: { b: [2, 3], c: undefined, d: 'ä' },
      json: { name: 'Bob' },
      headers: { 'x-team': 'red' },
    })
    .json<Echoed>();
  expect(echoed).toMatchObject({
    method: 'POST',
    url: '/api/users?a=1&b=2&b=3&d=%C3%A4',
    body: '{"name":"Bob"}',
    headers: {
      'x-team': 'red',
      accept: 'application/json',
      'content-type': 'application/json',
      'content-length': '14',
      authorization: `Basic ${Buffer.from('ada:pä:ss').toString('base64')}`,
    },
  });
});

// Two, not one: undici waits a turn before it trusts a connection again, and a request that follows at once does not wait.
test('connections are used again', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url });
  for (let i = 0; i < 10; i++) await session.get('/').bytes();
  expect(server.connectionsMade()).toBeLessThanOrEqual(2);
});

test('a status is no error unless raiseForStatus asks for it', async () => {
  await using server = await httpServer((_, response) => {
    response.writeHead(404, 'No such thing', { 'x-why': 'gone' });
    response.end('nothing here');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  expect([response.status, response.statusText, response.ok]).toEqual([404, 'No such thing', false]);
  expect(await response.text()).toBe('nothing here');
  const raised = await rejection<ClientResponseError>(session.get('/x', { raiseForStatus: true }));
  expect(raised).toBeInstanceOf(ClientResponseError);
  expect(raised.message).toBe(`GET ${server.url}/x answered 404 No such thing`);
  expect(raised.headers.get('x-why')).toBe('gone');
  expect(() => response.raiseForStatus()).toThrow(ClientResponseError);
});

const half: RequestListener = (_, response) => void response.write('half');

/** Each says when its wait has begun. */
test.each([
  [
    'while waiting for the answer',
    hang,
    async (session: ClientSession, seen: Promise<unknown>, begun: () => void) => {
      seen.then(begun);
      await session.get('/');
    },
  ],
  [
    'while the body is read',
    half,
    async (session: ClientSession, _: Promise<unknown>, begun: () => void) => {
      const text = (await session.get('/')).text();
      begun();
      await text;
    },
  ],
  [
    'while the body is read in pieces',
    half,
    async (session: ClientSession, _: Promise<unknown>, begun: () => void) => {
      for await (const _ of (await session.get('/')).body) begun();
    },
  ],
] as const)('a cancel %s destroys the connection and leaves nothing behind', async (_, listener, body) => {
  await using server = await httpServer(listener);
  await using session = new ClientSession({ baseUrl: server.url });
  const waiting = new Future<void>();
  const task = createTask(() => body(session, server.nextRequest(), () => waiting.setResult())) as Task<unknown>;
  await waiting;
  await new Promise(setImmediate);
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  expect(await server.seen[0]!.closed).toBe(false);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('each timeout names its phase, the URL and the time that has passed', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/body') response.write('half');
  });
  await using session = new ClientSession({ baseUrl: server.url, limit: 1 });
  const isLate = lateAfter(140);
  const total = await rejection<ClientTimeoutError>(session.get('/hang', { timeout: 40 }));
  expect(isLate()).toBe(false);
  expect(total).toBeInstanceOf(ClientTimeoutError);
  expect(total).toBeInstanceOf(TimeoutError);
  expect(total).toMatchObject({ phase: 'total', url: `${server.url}/hang`, code: 'ETIMEDOUT' });
  expect(total.elapsed).toBeGreaterThanOrEqual(39);
  await expect(session.get('/body', { timeout: { sockRead: 40 } }).text()).rejects.toMatchObject({ phase: 'sockRead' });
  const holding = session.get('/hang', { timeout: null });
  holding.catch(() => {});
  await expect(session.get('/', { timeout: { connect: 30 } })).rejects.toMatchObject({ phase: 'connect' });
  expect(session.statistics()).toEqual({ active: 1, waiting: 0 });
});

test('a session that is closed says so, and why that may be', async () => {
  await using server = await httpServer(hang);
  const session = new ClientSession({ baseUrl: server.url });
  const pending = session.get('/');
  pending.catch(() => {});
  await server.nextRequest();
  await session.close();
  await expect(pending).rejects.toThrow('The session was closed while the request was under way');
  expect(() => session.get('/later')).toThrow(InvalidStateError);
  expect(() => session.get('/later')).toThrow(/^Session is closed: GET \/later came after close\(\)\. The usual cause/);
});

test('a refused connection is a ClientConnectionError with the code of the system', async () => {
  const { url } = await httpServer(echo).then(async (server) => {
    await server[Symbol.asyncDispose]();
    return server;
  });
  await using session = new ClientSession();
  const error = await rejection<ClientConnectionError>(session.get(url));
  expect(error).toBeInstanceOf(ClientConnectionError);
  expect(error.code).toBe('ECONNREFUSED');
  expect(error.message).toContain(`GET ${url}/: connect ECONNREFUSED`);
});

test.each([
  [{ timeout: { totl: 5 } }, 'timeout may have total, connect, sockConnect, sockRead, got "totl"'],
  [{ auth: {} }, 'auth must be { username, password } or the value of the authorization header'],
  [{ auth: { username: 'a:b', password: 'c' } }, 'auth.username must not have a colon in it (RFC 7617)'],
  [
    { auth: 'Bearer t0ken\n' },
    'headers: authorization must be latin-1 text without line breaks, got "\\n" at position 12',
  ],
  [{ headers: 'x: y' }, 'headers must be an object, got string'],
  [{ headers: { 'x y': 'z' } }, 'headers: a name must be of letters, digits and -, got "x y"'],
  [{ headers: [[]] }, 'headers: a name must be of letters, digits and -, got undefined'],
  [
    { headers: { 'X-A': 'a\r\nb: c' } },
    'headers: x-a must be latin-1 text without line breaks, got "\\r" at position 1',
  ],
  [{ headers: { 'x-a': ['ok', '✓'] } }, 'headers: x-a must be latin-1 text without line breaks, got "✓" at position 0'],
  [{ headers: { 'x-a': ['ok', undefined] } }, 'headers: x-a must be a string or a number, got undefined'],
  [{ headers: { 'x-a': {} } }, 'headers: x-a must be a string or a number, got object'],
  [{ headers: { Upgrade: 'h2c' } }, 'headers: upgrade is set by the connection, and not by a request'],
  [{ retry: { methods: 'GET' } }, 'retry.methods must be a list, got string'],
])('bad options are said at the call: %j', async (options, message) => {
  expect(() => new ClientSession(options as never)).toThrow(new TypeError(message));
  await using session = new ClientSession();
  expect(() => session.get('http://127.0.0.1/', options as never)).toThrow(new TypeError(message));
});

test.each([
  [{ body: 'abc' }, '5', 'the body has 3 bytes'],
  [{ body: 'abc' }, 'x', 'the body has 3 bytes'],
  [{}, '5', 'the body has 0 bytes'],
  [{ body: Readable.from([]) }, '-1', 'the body has some bytes'],
])('a content-length that is wrong is said at the call: %j', async (options, length, what) => {
  await using session = new ClientSession();
  expect(() => session.post('http://127.0.0.1/', { ...options, headers: { 'content-length': length } })).toThrow(
    new TypeError(`headers: content-length is ${JSON.stringify(length)}, and ${what}`),
  );
});

test('a header may be a list, come twice, and be taken away', async () => {
  const lines: string[][] = [];
  await using server = await httpServer((request, response) => {
    const { rawHeaders } = request;
    lines.push(rawHeaders.flatMap((name, i) => (name.startsWith('x-') ? `${name}: ${rawHeaders[i + 1]}` : [])));
    response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url, headers: { 'x-gone': 'y' } });
  await session.get('/', { headers: { 'x-a': ['1', 'ÿ'], 'x-b': 3, 'X-Gone': null } });
  const twice: [string, string][] = [
    ['X-A', '1'],
    ['x-a', '2'],
  ];
  await session.get('/', { headers: twice });
  expect(lines).toEqual([
    ['x-a: 1', 'x-a: ÿ', 'x-b: 3'],
    ['x-gone: y', 'x-a: 1', 'x-a: 2'],
  ]);
});

test('a form and params take lists, leave out what is not there, and refuse a text', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url });
  const values = { a: [1, 2], b: null, c: undefined, d: 'x' };
  const { url, body } = await session.post('/', { params: values, form: values }).json<Echoed>();
  expect([url, body]).toEqual(['/?a=1&a=2&d=x', 'a=1&a=2&d=x']);
  for (const name of ['params', 'form']) {
    expect(() => session.post('/', { [name]: 'a=1' })).toThrow(
      new TypeError(`${name} must be an object or URLSearchParams, got string`),
    );
  }
});

test('an address that is none is said at the call, beside a baseUrl, too', async () => {
  await using session = new ClientSession({ baseUrl: 'http://127.0.0.1/' });
  expect(() => session.get(undefined as never)).toThrow(new TypeError('url must be a string or a URL, got undefined'));
  expect(() => session.wsConnect('/', { timeout: -1 })).toThrow(
    new RangeError('timeout.sockConnect must be > 0 ms (null for no limit), got -1'),
  );
});

test('connections can be kept for ever, and methods to retry are named in any case', async () => {
  let seen = 0;
  await using server = await httpServer((_, response) => {
    response.statusCode = seen++ === 0 ? 503 : 200;
    response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url, keepAlive: Infinity });
  const retry = { methods: ['post'], delay: 0 };
  expect((await session.post('/', { retry })).status).toBe(200);
  expect(seen).toBe(2);
});
