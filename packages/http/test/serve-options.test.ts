import { type ServeOptions, serve } from '@aiokit/http/server';
import { expect, test } from 'vitest';
import { rejection } from './support/http-server.ts';

test.each<[object, typeof RangeError | typeof TypeError, string]>([
  [{ port: '8000' }, TypeError, 'port must be a whole number from 0 to 65535, got "8000"'],
  [{ port: 65_536 }, RangeError, 'port must be a whole number from 0 to 65535, got 65536'],
  [{ host: 5 }, TypeError, 'host must be a string, got 5'],
  [{ tls: null }, TypeError, 'tls must be an object, got null'],
  [{ requestTimeout: 'long' }, TypeError, 'must be a number > 0, got "long"'],
  [{ requestTimeout: 0 }, RangeError, 'requestTimeout (or a function that says it for each request)'],
  [{ cancelOnDisconnect: 1 }, TypeError, 'must be a boolean, got 1'],
  [{ deadlineHeader: 'a b' }, TypeError, 'deadlineHeader must be the name of a header, got "a b"'],
  [{ gracefulTimeout: NaN }, RangeError, 'gracefulTimeout must be >= 0, got NaN'],
  [{ onError: {} }, TypeError, 'onError must be a function, got an object'],
  [{ limits: { bodySize: '1 MB' } }, TypeError, 'limits.bodySize (or null for no limit) must be a number >= 0'],
  [{ limits: { connections: 0.5 } }, RangeError, 'limits.connections (or null for no limit) must be a whole number'],
  [{ limits: { headersTimeout: null } }, TypeError, 'limits.headersTimeout must be a whole number >= 1, got null'],
  [
    { limits: { headersTimeout: 3_000, receiveTimeout: 2_000 } },
    RangeError,
    'limits.headersTimeout must be at most limits.receiveTimeout (2000), got 3000',
  ],
  [{ workers: 1.5 }, RangeError, 'workers must be a whole number of at least 1, got 1.5'],
])('%j is refused before anything listens', async (options, type, message) => {
  const error = await rejection<Error>(serve(() => new Response(), options));
  expect(error).toBeInstanceOf(type);
  expect(error.message).toContain(message);
});

test.each<ServeOptions>([
  { gracefulTimeout: Infinity, cancelTimeout: 0, requestTimeout: null },
  { limits: { bodySize: null, sendTimeout: Infinity, connections: null, receiveTimeout: 2_000 } },
])('%j is taken', async (options) => {
  await using server = await serve(() => new Response('ok'), { port: 0, ...options });
  expect(await (await fetch(server.url, { headers: { connection: 'close' } })).text()).toBe('ok');
});
