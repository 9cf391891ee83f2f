import type { LookupFunction } from 'node:net';
import { gather } from '@aiokit/core';
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { httpServer, rejection } from './support/http-server.ts';

/** A resolver that counts, and can be made to name an address where nobody is. */
function resolver() {
  const state = { lookups: 0, address: '127.0.0.1' };
  const lookup: LookupFunction = (_, { all }, callback) => {
    state.lookups++;
    setImmediate(() => {
      if (all) callback(null, [{ address: state.address, family: 4 }]);
      else callback(null, state.address, 4);
    });
  };
  return { state, lookup };
}

/** Answers one request per connection, so that each request looks its host up. */
const serverWithoutKeepAlive = () =>
  httpServer((_, response) => {
    response.setHeader('connection', 'close');
    response.end('hello');
  });

test('a host is looked up once for all who ask, and again when the time is over', async () => {
  await using server = await serverWithoutKeepAlive();
  const { state, lookup } = resolver();
  const url = `http://named.test:${new URL(server.url).port}/`;
  {
    await using session = new ClientSession({ dnsCache: 60_000, connection: { lookup } });
    await gather(Array.from({ length: 10 }, () => () => session.get(url).text()));
    expect(await session.get(url).text()).toBe('hello');
    expect(server.connectionsMade()).toBe(11);
    expect(state.lookups).toBe(1);
  }
  await using forgetful = new ClientSession({ dnsCache: 0.001, connection: { lookup } });
  await forgetful.get(url).text();
  await forgetful.get(url).text();
  expect(state.lookups).toBe(3);
  await using without = new ClientSession({ connection: { lookup } });
  await without.get(url).text();
  await without.get(url).text();
  expect(state.lookups).toBe(5);
});

test('an address where nobody answers is forgotten', async () => {
  await using server = await serverWithoutKeepAlive();
  const { state, lookup } = resolver();
  await using session = new ClientSession({ dnsCache: 60_000, connection: { lookup } });
  const url = `http://moved.test:${new URL(server.url).port}/`;
  state.address = '127.0.0.2';
  server.server.close();
  await server[Symbol.asyncDispose]().catch(() => {});
  const error = await rejection<{ code: string }>(session.get(url));
  expect(error.code).toBe('ECONNREFUSED');
  await rejection(session.get(url));
  expect(state.lookups).toBe(2);
});

test('a name that cannot be found is an error with the code of the system, and is not remembered', async () => {
  let lookups = 0;
  const lookup = ((_host: string, _options: object, callback: (error: Error) => void) => {
    lookups++;
    callback(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.test'), { code: 'ENOTFOUND' }));
  }) as LookupFunction;
  await using session = new ClientSession({ dnsCache: 60_000, connection: { lookup } });
  for (let i = 0; i < 2; i++)
    await expect(session.get('http://nowhere.test/')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  expect(lookups).toBe(2);
  expect(() => new ClientSession({ dnsCache: -1 })).toThrow('dnsCache must be > 0');
});
