import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientError, ClientSession, CookieJar, TooManyRedirectsError } from '@aiokit/http';
import { expect, test } from 'vitest';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

/** `/to/301/<target>` redirects there; everything else echoes. */
const redirecting = () =>
  httpServer((request, response) => {
    const match = /^\/to\/(\d+)\/(.*)$/.exec(request.url as string);
    if (match === null) return echo(request, response);
    request.resume();
    response.writeHead(Number(match[1]), { location: decodeURIComponent(match[2] as string) });
    response.end('moved');
  });

test.each([
  [301, 'POST', 'GET', ''],
  [302, 'POST', 'GET', ''],
  [303, 'PUT', 'GET', ''],
  [307, 'POST', 'POST', 'body'],
  [308, 'PUT', 'PUT', 'body'],
  [301, 'PUT', 'PUT', 'body'],
] as const)('%i turns %s into %s', async (status, method, becomes, body) => {
  await using server = await redirecting();
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.request(method, `/to/${status}/%2Fthere`, { body: 'body' });
  expect(await response.json<Echoed>()).toMatchObject({ method: becomes, url: '/there', body });
  expect(response.url).toBe(`${server.url}/there`);
  expect(response.history).toEqual([{ status, url: `${server.url}/to/${status}/%2Fthere` }]);
});

test('credentials never follow to another origin', async () => {
  await using other = await httpServer(echo);
  await using server = await redirecting();
  await using session = new ClientSession({ baseUrl: server.url, auth: 'Bearer secret', headers: { 'x-mine': 'yes' } });
  session.cookieJar!.set('sid=secret', server.url);
  const away = `/to/302/${encodeURIComponent(`${other.url}/away`)}`;
  const { headers } = await session.get(away, { headers: { 'proxy-authorization': 'secret' } }).json<Echoed>();
  expect(headers).toMatchObject({ 'x-mine': 'yes', host: new URL(other.url).host });
  expect(headers).not.toHaveProperty('authorization');
  expect(headers).not.toHaveProperty('proxy-authorization');
  const home = await session.get('/to/302/%2Fhome').json<Echoed>();
  expect(home.headers).toMatchObject({ authorization: 'Bearer secret', cookie: 'sid=secret' });
  // An absolute URL elsewhere is not what the session's credentials were given for, either.
  const direct = await session.get(other.url).json<Echoed>();
  expect(direct.headers).not.toHaveProperty('authorization');
});

test('there is an end to redirects, and none need be followed', async () => {
  await using server = await httpServer((_, response) => {
    response.writeHead(302, { location: '/again' });
    response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url, maxRedirects: 3 });
  const error = await rejection(session.get('/'));
  expect(error).toBeInstanceOf(TooManyRedirectsError);
  expect(server.seen).toHaveLength(4);
  expect((await session.get('/', { maxRedirects: 0 })).status).toBe(302);
});

test('a streamed body that has been sent cannot be redirected, one that can be made anew can', async () => {
  await using server = await redirecting();
  await using session = new ClientSession({ baseUrl: server.url });
  async function* source() {
    yield 'str';
    yield 'eam';
  }
  const error = await rejection<Error>(session.post('/to/307/%2Fthere', { body: source() }));
  expect(error).toBeInstanceOf(ClientError);
  expect(error.message).toContain('Give body as a function');
  const echoed = await session.post('/to/307/%2Fthere', { body: source }).json<Echoed>();
  expect(echoed.body).toBe('stream');
});

test('cookies are kept per site, sent back, saved and loaded', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/login')
      response.setHeader('set-cookie', ['sid=1; Path=/; HttpOnly', 'evil=1; Domain=example.com']);
    echo(request, response);
  });
  const directory = await mkdtemp(join(tmpdir(), 'aiokit-http-'));
  try {
    await using session = new ClientSession({ baseUrl: server.url });
    await session.get('/login').bytes();
    const { headers } = await session.get('/', { headers: { cookie: 'mine=2' } }).json<Echoed>();
    expect(headers.cookie).toBe('mine=2; sid=1');
    const file = join(directory, 'cookies.json');
    await session.cookieJar!.save(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const cookieJar = new CookieJar();
    await cookieJar.load(file);
    expect([...cookieJar].map(({ name, value }) => [name, value])).toEqual([['sid', '1']]);
    await using again = new ClientSession({ baseUrl: server.url, cookieJar });
    expect((await again.get('/').json<Echoed>()).headers.cookie).toBe('sid=1');
    await using none = new ClientSession({ baseUrl: server.url, cookieJar: null });
    await none.get('/login').bytes();
    expect((await none.get('/').json<Echoed>()).headers).not.toHaveProperty('cookie');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a single cookie is kept, too', async () => {
  await using server = await httpServer((request, response) => {
    if (request.url === '/login') response.setHeader('set-cookie', 'sid=1');
    echo(request, response);
  });
  await using session = new ClientSession({ baseUrl: server.url });
  await session.get('/login').bytes();
  expect((await session.get('/').json<Echoed>()).headers.cookie).toBe('sid=1');
});

test('a cookie that no header can carry is said at once', () => {
  const jar = new CookieJar();
  expect(() => jar.set('a=✓', 'http://127.0.0.1/')).toThrow(
    new TypeError('headers: cookie must be latin-1 text without line breaks, got "✓" at position 2'),
  );
});

test("the credentials in a redirect's URL, or a request's, are sent and not shown", async () => {
  await using server = await httpServer((request, response) => {
    if (request.url !== '/away') return echo(request, response);
    response.writeHead(302, { location: server.url.replace('http://', 'http://ada:100%@') }).end();
  });
  await using session = new ClientSession();
  for (const url of [`${server.url}/away`, server.url.replace('http://', 'http://ada:100%@')]) {
    const response = await session.get(url);
    expect(response.url).toBe(`${server.url}/`);
    const { headers } = await response.json<Echoed>();
    expect(headers.authorization).toBe(`Basic ${Buffer.from('ada:100%').toString('base64')}`);
  }
});
