import { sleep } from '@aiokit/core';
import { ClientSession, fetch } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { test } from '@aiokit/testing/vitest';
import { expect } from 'vitest';

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
