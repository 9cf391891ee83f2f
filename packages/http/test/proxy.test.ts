import { once } from 'node:events';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import { CancelledError, createTask, gather, type Task } from '@aiokit/core';
import { ClientConnectionError, ClientSession, ClientTimeoutError } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { afterEach, expect, test, vi } from 'vitest';
import { certificate } from './support/certificate.ts';
import { eventually } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

/** Makes tunnels to this machine, whatever host it is asked for; `answer: null` lets everybody wait. */
async function proxyServer(answer: string | null = 'HTTP/1.1 200 OK\r\n\r\n') {
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer();
  server.on('connect', (incoming, socket: Socket, head) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    asked.push(`${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
    if (answer === null) return void socket.on('end', () => socket.end()).resume();
    if (!answer.includes(' 200 ')) return void socket.end(answer);
    const upstream = connect(Number(incoming.url?.split(':').at(-1)), '127.0.0.1', () => {
      socket.write(answer);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => {}).on('close', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `http://${host}`,
    asked,
    open,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
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

test('a proxy is used, with its credentials, which the server does not see', async () => {
  await using server = await httpServer(echo);
  await using proxy = await proxyServer();
  await using session = new ClientSession({ proxy: `http://ada:s%40cret@${proxy.host}` });
  const { headers } = await session.get(server.url).json<Echoed>();
  const { host } = new URL(server.url);
  expect(headers.host).toBe(host);
  expect(headers).not.toHaveProperty('proxy-authorization');
  expect(proxy.asked).toEqual([`${host} Basic ${Buffer.from('ada:s@cret').toString('base64')}`]);
  await session.get(server.url).bytes();
  expect(server.connectionsMade()).toBeLessThanOrEqual(2);
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
  expect(proxy.asked).toEqual(isProxied ? [`api.example.com:${port}`] : []);
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
  const tls = await certificate();
  const server = createSecureServer({ ...tls, allowHTTP1: true }, (request, response) => {
    response.end(request.httpVersion);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await using proxy = await proxyServer();
  environment({ https_proxy: proxy.url });
  const common = { baseUrl: `https://localhost:${(server.address() as AddressInfo).port}`, proxy: 'environment' };
  {
    await using strict = new ClientSession(common);
    await expect(strict.get('/')).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await using session = new ClientSession({ ...common, connection: { ca: tls.cert } });
    expect(await session.get('/').text()).toBe('1.1');
    proxy.asked.length = 0;
    await using modern = new ClientSession({ ...common, connection: { ca: tls.cert }, http2: true });
    const all = await gather(Array.from({ length: 50 }, () => () => modern.get('/').text()));
    expect(all).toEqual(Array(50).fill('2.0'));
    expect(proxy.asked).toHaveLength(1);
  }
  server.close();
});

test('a cancel while the proxy makes its tunnel ends that at once, and frees the slot', async () => {
  await using proxy = await proxyServer(null);
  await using session = new ClientSession({ proxy: proxy.url });
  const task = createTask(() => session.get('http://nowhere.test/')) as Task<unknown>;
  await eventually(() => expect(proxy.open.size).toBe(1));
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
  await using proxy = await proxyServer(null);
  await using session = new ClientSession({ proxy: proxy.url });
  const started = performance.now();
  const error = await rejection<ClientTimeoutError>(
    session.get('http://nowhere.test/', { timeout: { sockConnect: 40 } }),
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
  ['403 Forbidden', 'answered CONNECT nowhere.test:80 with 403 Forbidden'],
  ['407 Proxy Authentication Required', 'Its credentials go into its URL: http://user:password@host:port'],
])('a proxy that answers %s is a ClientConnectionError that says so', async (status, text) => {
  await using proxy = await proxyServer(`HTTP/1.1 ${status}\r\n\r\n`);
  await using session = new ClientSession({ proxy: proxy.url });
  const error = await rejection<Error>(session.get('http://nowhere.test/'));
  expect(error).toBeInstanceOf(ClientConnectionError);
  expect(error.message).toContain(`GET http://nowhere.test/: the proxy ${proxy.host} answered CONNECT`);
  expect(error.message).toContain(text);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

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
  expect(proxy.asked).toEqual([`proxied.test:${port}`]);
});

test('a WebSocket whose tunnel does not come is cancelled at once, and limited in time', async () => {
  await using proxy = await proxyServer(null);
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
