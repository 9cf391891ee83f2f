import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import { CancelledError, createTask, gather, type Task } from '@aiokit/core';
import { ClientConnectionError, ClientSession, ClientTimeoutError } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { afterEach, expect, test, vi } from 'vitest';
import { certificate } from './support/certificate.ts';
import { eventually } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

/**
 * Forwards requests and makes tunnels, all to this machine, whatever host it is asked for. Another `answer` is all it says;
 * `null` lets everybody wait.
 */
async function proxyServer({ answer = TUNNEL, tls }: { answer?: string | null; tls?: ServerOptions } = {}) {
  const asked: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  const note = ({ method, url, headers }: IncomingMessage) =>
    asked.push(`${method} ${url} ${headers['proxy-authorization'] ?? ''}`.trim());
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
  });
  server.on('connect', (incoming, socket: Socket, head) => {
    note(incoming);
    if (answer === null) return void socket.on('end', () => socket.end()).resume();
    if (answer !== TUNNEL) return void socket.end(answer);
    const upstream = connect(Number(incoming.url?.split(':').at(-1)), '127.0.0.1', () => {
      socket.write(answer);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => {}).on('close', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
  });
  server.on('request', (incoming, response) => {
    note(incoming);
    if (answer === null) return;
    if (answer !== TUNNEL) return void response.writeHead(Number(answer.split(' ')[1])).end();
    const { 'proxy-authorization': _, ...headers } = incoming.headers;
    const { method, url = '' } = incoming;
    const { port, pathname, search } = new URL(url); // Throws unless it is in absolute form.
    const upstream = request({ host: '127.0.0.1', port, path: pathname + search, method, headers });
    upstream.on('response', ({ statusCode = 0, headers }: IncomingMessage) => response.writeHead(statusCode, headers));
    upstream.on('response', (answered: IncomingMessage) => answered.pipe(response));
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    asked,
    open,
    connectionsMade: () => connections,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TUNNEL = 'HTTP/1.1 200 OK\r\n\r\n';

/** An `https:` server, which may speak HTTP/2. */
async function secureServer(listener: (request: IncomingMessage, response: ServerResponse) => void) {
  const tls = await certificate();
  const server = createSecureServer({ ...tls, allowHTTP1: true }, listener as never);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    ca: tls.cert,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

function environment(variables: Record<string, string>): void {
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'])
    vi.stubEnv(name, variables[name]);
}

afterEach(() => void vi.unstubAllEnvs());

/** Every name is this machine. */
const lookup = ((_: string, options: { all?: boolean }, callback: (error: null, ...found: unknown[]) => void) =>
  options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)) as never;

test('a request for http: is handed to the proxy whole, with its credentials, over kept connections', async () => {
  await using server = await httpServer(echo);
  await using proxy = await proxyServer();
  await using session = new ClientSession({ proxy: `http://ada:s%40cret@${proxy.host}` });
  async function* body() {
    yield 'in ';
    yield 'pieces';
  }
  const sent = await session.post(`${server.url}/a?b=c`, { body: body() }).json<Echoed>();
  expect(sent).toMatchObject({ method: 'POST', url: '/a?b=c', body: 'in pieces' });
  expect(sent.headers.host).toBe(new URL(server.url).host);
  const credentials = `Basic ${Buffer.from('ada:s@cret').toString('base64')}`;
  expect(proxy.asked).toEqual([`POST ${server.url}/a?b=c ${credentials}`]);
  for (let i = 0; i < 5; i++) await session.get(server.url).bytes();
  expect(proxy.connectionsMade()).toBeLessThanOrEqual(2);
});

test('a request for https: goes through a tunnel, and its server does not see the credentials', async () => {
  await using server = await secureServer(echo);
  await using proxy = await proxyServer();
  await using session = new ClientSession({ proxy: `http://ada:secret@${proxy.host}`, connection: { ca: server.ca } });
  const { headers } = await session.get(server.url).json<Echoed>();
  expect(headers).not.toHaveProperty('proxy-authorization');
  const credentials = `Basic ${Buffer.from('ada:secret').toString('base64')}`;
  expect(proxy.asked).toEqual([`CONNECT ${new URL(server.url).host} ${credentials}`]);
});

test("the proxy's credentials follow no redirect to where the proxy is not used", async () => {
  await using server = await httpServer((incoming, response) => {
    if (incoming.url !== '/away') return echo(incoming, response);
    response.writeHead(302, { location: `http://direct.test:${new URL(server.url).port}/` }).end();
  });
  await using proxy = await proxyServer();
  environment({ http_proxy: `http://ada:secret@${proxy.host}`, no_proxy: 'direct.test' });
  await using session = new ClientSession({ proxy: 'environment', connection: { lookup } });
  const { headers } = await session.get(`${server.url}/away`).json<Echoed>();
  expect(headers.host).toMatch(/^direct\.test/);
  expect(headers).not.toHaveProperty('proxy-authorization');
  expect(proxy.asked).toHaveLength(1);
});

test.each(['http', 'https'] as const)('a proxy is spoken to over TLS where its URL says so: %s:', async (scheme) => {
  const tls = await certificate();
  await using plain = await httpServer(echo);
  await using secure = await secureServer(echo);
  await using proxy = await proxyServer({ tls });
  const { url } = scheme === 'http' ? plain : secure;
  await using strict = new ClientSession({ proxy: proxy.url });
  const error = await rejection<Error>(strict.get(url));
  expect(error).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(error.message).toContain(`GET ${url}/: no connection to the proxy ${proxy.host}: self-signed certificate`);
  await using session = new ClientSession({ proxy: proxy.url, connection: { ca: [tls.cert, secure.ca] } });
  expect(await session.get(url).json()).toMatchObject({ method: 'GET', url: '/' });
  expect(proxy.asked).toEqual([scheme === 'http' ? `GET ${url}/` : `CONNECT ${new URL(url).host}`]);
  // A certificate for another name is not accepted, nor tried again and again.
  await using misled = new ClientSession({
    proxy: `https://other.test:${new URL(proxy.url).port}`,
    connection: { ca: [tls.cert, secure.ca], lookup },
  });
  await expect(misled.get(url)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  expect(misled.statistics()).toEqual({ active: 0, waiting: 0 });
});

test.each([
  ['', true],
  ['*', false],
  ['example.com', false],
  ['.example.com', false],
  ['*.example.com', false],
  ['API.Example.com', false],
  ['other.test, example.com:PORT', false],
  ['example.com:1', true],
  ['ample.com', true],
  ['api.example.com.evil.test', true],
])('NO_PROXY=%s', async (exempt, isProxied) => {
  await using server = await httpServer((_, response) => response.end('here'));
  const { port } = new URL(server.url);
  await using proxy = await proxyServer();
  environment({ HTTP_PROXY: proxy.url, NO_PROXY: exempt.replace('PORT', port) });
  await using session = new ClientSession({ proxy: 'environment', connection: { lookup } });
  expect(await session.get(`http://api.example.com:${port}/`).text()).toBe('here');
  expect(proxy.asked).toEqual(isProxied ? [`GET http://api.example.com:${port}/`] : []);
});

test("the environment's proxies are for a scheme each, and without any of them there is none", async () => {
  await using server = await httpServer(echo);
  await using proxy = await proxyServer();
  environment({ HTTP_PROXY: 'http://127.0.0.1:1', http_proxy: proxy.host, https_proxy: 'http://127.0.0.1:1' });
  await using session = new ClientSession({ proxy: 'environment' });
  await session.get(server.url).bytes();
  expect(proxy.asked).toHaveLength(1);
  await expect(session.get(server.url.replace('http', 'https'))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  environment({});
  await using direct = new ClientSession({ proxy: 'environment' });
  await direct.get(server.url).bytes();
  expect(proxy.asked).toHaveLength(1);
});

test("TLS options hold through the environment's proxy, and a burst shares one tunnel when HTTP/2 goes through it", async () => {
  await using server = await secureServer(({ httpVersion }, response) => response.end(httpVersion));
  await using proxy = await proxyServer();
  environment({ https_proxy: proxy.url });
  const common = { baseUrl: server.url, proxy: 'environment' };
  {
    await using strict = new ClientSession(common);
    await expect(strict.get('/')).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await using session = new ClientSession({ ...common, connection: { ca: server.ca } });
    expect(await session.get('/').text()).toBe('1.1');
    proxy.asked.length = 0;
    await using modern = new ClientSession({ ...common, connection: { ca: server.ca }, http2: true });
    const all = await gather(Array.from({ length: 50 }, () => () => modern.get('/').text()));
    expect(all).toEqual(Array(50).fill('2.0'));
    expect(proxy.asked).toHaveLength(1);
  }
});

test.each([
  ['forwards a request', 'http://nowhere.test/'],
  ['makes its tunnel', 'https://nowhere.test/'],
])('a cancel while the proxy %s ends that at once, and frees the slot', async (_, url) => {
  await using proxy = await proxyServer({ answer: null });
  await using session = new ClientSession({ proxy: proxy.url });
  const task = createTask(() => session.get(url)) as Task<unknown>;
  await eventually(() => expect(proxy.asked).toHaveLength(1));
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  await eventually(() => expect(proxy.open.size).toBe(0));
});

test('a cancel in the TLS handshake within the tunnel ends that, too', async () => {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await using proxy = await proxyServer();
  await using session = new ClientSession({ proxy: proxy.url });
  const task = createTask(() => session.get(`https://localhost:${port}/`)) as Task<unknown>;
  const [socket] = (await once(server, 'connection')) as [Socket];
  await once(socket, 'data'); // The beginning of the handshake.
  const closed = once(socket, 'close');
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await closed;
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  server.close();
});

test('sockConnect limits the making of a tunnel, exactly', async () => {
  await using proxy = await proxyServer({ answer: null });
  await using session = new ClientSession({ proxy: proxy.url });
  const started = performance.now();
  const error = await rejection<ClientTimeoutError>(
    session.get('https://nowhere.test/', { timeout: { sockConnect: 40 } }),
  );
  expect(error).toBeInstanceOf(ClientTimeoutError);
  expect(error.phase).toBe('sockConnect');
  expect(error.elapsed).toBeGreaterThanOrEqual(39);
  expect(error.elapsed).toBeLessThanOrEqual(performance.now() - started + 1);
  await eventually(() => expect(proxy.open.size).toBe(0));
});

test('cancelled requests make no connections for nobody through a proxy', async () => {
  await using server = await httpServer(() => {});
  await using proxy = await proxyServer();
  await using session = new ClientSession({ proxy: proxy.url, baseUrl: server.url });
  const tasks = Array.from({ length: 5 }, () => createTask(() => session.get('/')) as Task<unknown>);
  await eventually(() => expect(server.seen).toHaveLength(5));
  for (const task of tasks) task.cancel();
  await Promise.allSettled(tasks);
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  await eventually(() => expect(proxy.open.size).toBe(0));
  expect(proxy.asked).toHaveLength(5);
});

test.each([
  ['403 Forbidden', 'answered CONNECT nowhere.test:443 with 403 Forbidden'],
  ['407 Proxy Authentication Required', 'Its credentials go into its URL: http://user:password@host:port'],
])('a proxy that answers %s to CONNECT is a ClientConnectionError that says so', async (status, text) => {
  await using proxy = await proxyServer({ answer: `HTTP/1.1 ${status}\r\n\r\n` });
  await using session = new ClientSession({ proxy: proxy.url });
  const error = await rejection<Error>(session.get('https://nowhere.test/'));
  expect(error).toBeInstanceOf(ClientConnectionError);
  expect(error.message).toContain(`GET https://nowhere.test/: the proxy ${proxy.host} answered CONNECT`);
  expect(error.message).toContain(text);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('what a proxy answers to a request in absolute form is the response', async () => {
  await using proxy = await proxyServer({ answer: 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n' });
  await using session = new ClientSession({ proxy: proxy.url });
  expect(await session.get('http://nowhere.test/')).toMatchObject({ status: 407 });
});

test.each(['http', 'https'])(
  'a proxy that is not there is a ClientConnectionError that names it: %s:',
  async (scheme) => {
    await using session = new ClientSession({ proxy: 'http://127.0.0.1:1' });
    const error = await rejection<Error>(session.get(`${scheme}://nowhere.test/`));
    expect(error).toBeInstanceOf(ClientConnectionError);
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect(error.message).toContain(`GET ${scheme}://nowhere.test/: no connection to the proxy 127.0.0.1:1: connect`);
  },
);

test('a proxy that is none is said at the call, without its password', () => {
  expect(() => new ClientSession({ proxy: 'socks5://me:secret@host:1' })).toThrow(
    new TypeError(`proxy must be an http: or https: URL (or 'environment'), got "socks5://…@host:1"`),
  );
  environment({ HTTPS_PROXY: 'ftp://host' });
  expect(() => new ClientSession({ proxy: 'environment' })).toThrow(/^HTTPS_PROXY must be an http: or https: URL/);
  expect(() => new ClientSession({ proxy: 'http://host', socketPath: '/tmp/x' })).toThrow(
    new TypeError('socketPath and proxy exclude each other'),
  );
});

test('a WebSocket goes through the proxy as a request does, or around it', async () => {
  await using server = await serve(() => acceptWebSocket((socket) => socket.send('hello')), { port: 0 });
  const { port } = new URL(server.url);
  await using proxy = await proxyServer();
  environment({ http_proxy: proxy.url, no_proxy: 'direct.test' });
  await using session = new ClientSession({ proxy: 'environment', connection: { lookup } });
  for (const host of ['proxied.test', 'direct.test']) {
    await using socket = await session.wsConnect(`ws://${host}:${port}/`);
    expect(await socket.receive()).toBe('hello');
  }
  expect(proxy.asked).toEqual([`CONNECT proxied.test:${port}`]);
});

test('a WebSocket whose tunnel does not come is cancelled at once, and limited in time', async () => {
  await using proxy = await proxyServer({ answer: null });
  await using session = new ClientSession({ proxy: proxy.url });
  const task = createTask(() => session.wsConnect('ws://nowhere.test/')) as Task<unknown>;
  await eventually(() => expect(proxy.open.size).toBe(1));
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await eventually(() => expect(proxy.open.size).toBe(0));
  const error = await rejection<ClientTimeoutError>(session.wsConnect('ws://nowhere.test/', { timeout: 30 }));
  expect(error).toBeInstanceOf(ClientTimeoutError);
  expect(error).toMatchObject({ phase: 'sockConnect', url: 'ws://nowhere.test/' });
  await eventually(() => expect(proxy.open.size).toBe(0));
});
