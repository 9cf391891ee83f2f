import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sleep, TimeoutError, timeout } from '@aiokit/core';
import { ClientSession, fetch, type WebSocketConnection } from '@aiokit/http';
import { acceptWebSocket, serve } from '@aiokit/http/server';
import { faultProxy } from '@aiokit/testing/services';
import { test } from '@aiokit/testing/vitest';
import { afterAll, beforeAll, describe, expect } from 'vitest';

const handler = async (request: Request): Promise<Response> => {
  await sleep(60_000);
  return new Response(new URL(request.url).pathname);
};

test('a handler of this process sleeps in virtual time, and its clients with it', async ({ clock }) => {
  await using server = await serve(handler, { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url, timeout: null });
  const [first, second] = await Promise.all([
    session.get('/session').text(),
    fetch(`${server.url}/fetch`).then((r) => r.text()),
  ]);
  expect([first, second]).toEqual(['/session', '/fetch']);
  expect(clock.now()).toBeGreaterThanOrEqual(60_000);
  expect(clock.now()).toBeLessThan(70_000);
});

test('a timeout of minutes takes no time', async ({ clock }) => {
  await using server = await serve(handler, { port: 0 });
  await using session = new ClientSession({ baseUrl: server.url });
  await expect(session.get('/', { timeout: 30_000 })).rejects.toMatchObject({ phase: 'total' });
  expect(clock.now()).toBeLessThan(40_000);
});

test('a session over an app lives in virtual time, too', async ({ clock }) => {
  await using session = new ClientSession({ app: handler, baseUrl: 'http://app' });
  expect(await session.get('/app').text()).toBe('/app');
  expect(clock.now()).toBe(60_000);
});

describe('beside a server whose time is real', () => {
  const late = 100;
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url !== '/events') return void setTimeout(() => response.end('late'), late);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test('a handler of this process that asks it holds the clock', async ({ clock }) => {
    await using session = new ClientSession({ timeout: 60_000 });
    await using own = await serve(async () => new Response(await session.get(url).text()), { port: 0 });
    expect(await session.get(own.url).text()).toBe('late');
    expect(clock.now()).toBe(0);
  });

  test('waiting for the next event of a stream does not hold the clock', async ({ clock }) => {
    await using session = new ClientSession();
    for (const response of [await session.get(`${url}/events`), await fetch(`${url}/events`)]) {
      const before = clock.now();
      const events: string[] = [];
      const next = timeout(60_000, async () => {
        for await (const bytes of response.body ?? []) events.push(Buffer.from(bytes as Uint8Array).toString());
      });
      await expect(next).rejects.toThrow(TimeoutError);
      expect([events, clock.now() - before]).toEqual([['data: first\n\n'], 60_000]);
    }
  });

  test('what a WebSocket sent before is received before the clock goes on', async ({ clock }) => {
    const echo = async (socket: WebSocketConnection) => {
      for await (const message of socket) await socket.send(message);
    };
    await using own = await serve(() => acceptWebSocket(echo), { port: 0 });
    await using proxy = await faultProxy(own.url);
    proxy.delay(late, { direction: 'toClient' });
    await using session = new ClientSession();
    const socket = await session.wsConnect(proxy.url(own.url));
    await socket.send('hello');
    expect(await timeout(60_000, () => socket.receive())).toBe('hello');
    expect(clock.now()).toBe(0);
    await socket.close();
  });
});
