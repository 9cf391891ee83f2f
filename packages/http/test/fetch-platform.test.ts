/** What the fetch standard says, of the platform's own and of ours: each test runs with both, so that neither can drift. */
import { createTask } from '@aiokit/core';
import { fetch as aiokitFetch } from '@aiokit/http';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

const inTask: typeof fetch = (input, init) => createTask(() => aiokitFetch(input, init)) as Promise<Response>;

let server: Awaited<ReturnType<typeof httpServer>>;
let url: string;

beforeAll(async () => {
  server = await httpServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url as string, 'http://x');
    const status = Number(searchParams.get('status') ?? 200);
    switch (pathname) {
      case '/status':
        response.writeHead(status, searchParams.get('text') ?? undefined, { 'x-a': 'b', 'set-cookie': ['a=1', 'b=2'] });
        return void response.end([204, 205, 304].includes(status) ? undefined : 'body');
      case '/redirect':
        request.resume();
        return void response.writeHead(status, { location: searchParams.get('to') ?? '/echo' }).end();
      case '/loop':
        return void response.writeHead(302, { location: '/loop' }).end();
      case '/hang':
        return;
      case '/half':
        return void response.write('half');
      case '/gzip':
        response.setHeader('content-encoding', 'gzip');
        return void response.end(Buffer.from('not gzip'));
      default:
        return void echo(request, response);
    }
  });
  url = server.url;
  return () => server[Symbol.asyncDispose]();
});

describe.each([
  ["the platform's", globalThis.fetch],
  ["aiokit's, outside of a task", aiokitFetch],
  ["aiokit's, in a task", inTask],
] as const)('%s fetch', (_, fetch) => {
  const json = async (input: string | URL | Request, init?: RequestInit): Promise<Echoed> =>
    (await (await fetch(input, init)).json()) as Echoed;

  test.each([200, 201, 206, 299, 400, 404, 418, 500, 503])('status %i is no error, and ok is 2xx', async (status) => {
    const response = await fetch(`${url}/status?status=${status}&text=Why`);
    expect([response.status, response.statusText, response.ok]).toEqual([status, 'Why', status < 300]);
    expect(response.headers.get('x-a')).toBe('b');
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect([response.redirected, response.url]).toEqual([false, `${url}/status?status=${status}&text=Why`]);
    expect(await response.text()).toBe('body');
  });

  test.each([204, 205, 304])('status %i has no body', async (status) => {
    const response = await fetch(`${url}/status?status=${status}`);
    expect([response.status, response.body, await response.text()]).toEqual([status, null, '']);
  });

  test('HEAD has headers and no body', async () => {
    const response = await fetch(`${url}/status`, { method: 'HEAD' });
    expect(response.headers.get('x-a')).toBe('b');
    expect(await response.text()).toBe('');
  });

  test.each([
    [301, 'POST', 'GET'],
    [302, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [307, 'POST', 'POST'],
    [308, 'PUT', 'PUT'],
    [301, 'GET', 'GET'],
  ])('redirect "follow": %i turns %s into %s', async (status, method, becomes) => {
    const body = method === 'GET' ? {} : { body: 'body' };
    const response = await fetch(`${url}/redirect?status=${status}`, { method, ...body });
    expect([response.redirected, response.url]).toEqual([true, `${url}/echo`]);
    expect((await response.json()) as Echoed).toMatchObject({
      method: becomes,
      body: becomes === 'GET' ? '' : 'body',
    });
  });

  test('redirect "manual" gives the redirect, "error" fails, an endless one fails', async () => {
    const manual = await fetch(`${url}/redirect?status=302`, { redirect: 'manual' });
    expect([manual.status, manual.headers.get('location'), manual.redirected]).toEqual([302, '/echo', false]);
    await expect(fetch(`${url}/redirect?status=302`, { redirect: 'error' })).rejects.toThrow(TypeError);
    await expect(fetch(`${url}/loop`)).rejects.toMatchObject({ cause: { message: 'redirect count exceeded' } });
    await expect(fetch(`${url}/redirect?status=302&to=ftp://x`)).rejects.toThrow(TypeError);
  });

  test('credentials do not follow a redirect to another origin', async () => {
    await using other = await httpServer(echo);
    const away = `${url}/redirect?status=302&to=${encodeURIComponent(`${other.url}/away`)}`;
    const { headers } = await json(away, { headers: { authorization: 'secret', cookie: 'sid=1', 'x-mine': 'yes' } });
    expect(headers['x-mine']).toBe('yes');
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('cookie');
  });

  test('a body is used once', async () => {
    for (const use of ['text', 'json', 'arrayBuffer', 'blob', 'formData', 'bytes'] as const) {
      const response = await fetch(`${url}/echo`);
      const read = use as 'text'; // Node's types do not know bytes() yet; nor does every Node.
      if (typeof response[read] !== 'function') continue;
      expect(response.bodyUsed).toBe(false);
      await response[read]().catch(() => {}); // JSON is no form.
      expect(response.bodyUsed).toBe(true);
      await expect(response.text()).rejects.toThrow(TypeError);
      expect(() => response.clone()).toThrow(TypeError);
    }
    const response = await fetch(`${url}/echo`);
    const reader = response.body!.getReader();
    await expect(response.text()).rejects.toThrow(TypeError);
    expect((await reader.read()).value).toBeInstanceOf(Uint8Array);
    expect(() => response.body!.getReader()).toThrow(TypeError);
    expect(response.body).toBe(response.body);
  });

  test('a clone is a second body', async () => {
    const response = await fetch(`${url}/echo`);
    const clone = response.clone();
    expect(clone).toBeInstanceOf(Response);
    const [a, b] = await Promise.all([response.json(), clone.json()]);
    expect(a).toEqual(b);
    expect((await (await fetch(`${url}/echo`)).blob()).type).toBe('application/json');
  });

  test('a stream can be read with an iterator, a reader, a tee and a pipe', async () => {
    const text = async (stream: ReadableStream<Uint8Array>) =>
      Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Uint8Array>)).toString();
    expect(JSON.parse(await text((await fetch(`${url}/echo`)).body!)).method).toBe('GET');
    const [left, right] = (await fetch(`${url}/echo`)).body!.tee();
    expect(await text(left)).toBe(await text(right));
    const decoded: string[] = [];
    for await (const piece of (await fetch(`${url}/echo`)).body!.pipeThrough(
      new TextDecoderStream(),
    ) as never as AsyncIterable<string>)
      decoded.push(piece);
    expect(JSON.parse(decoded.join('')).method).toBe('GET');
    expect(await new Response((await fetch(`${url}/echo`)).body).json()).toMatchObject({ method: 'GET' });
  });

  test("an abort rejects with the signal's reason, before, while waiting and while reading", async () => {
    const reason = new RangeError('mine');
    await expect(fetch(`${url}/echo`, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(fetch(`${url}/echo`, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(fetch(`${url}/echo`, { signal: AbortSignal.abort('text') })).rejects.toBe('text');
    const waiting = new AbortController();
    const arrived = server.nextRequest();
    const hanging = rejection(fetch(`${url}/hang`, { signal: waiting.signal }));
    const { closed } = await arrived;
    waiting.abort(reason);
    expect(await hanging).toBe(reason);
    expect(await closed).toBe(false);
    const reading = new AbortController();
    const response = await fetch(`${url}/half`, { signal: reading.signal });
    const text = rejection(response.text());
    reading.abort(reason);
    expect(await text).toBe(reason);
    await expect(fetch(`${url}/hang`, { signal: AbortSignal.timeout(10) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const done = new AbortController();
    const whole = await fetch(`${url}/echo`, { signal: done.signal });
    await whole.text();
    done.abort();
    expect(whole.bodyUsed).toBe(true);
  });

  test("a Request's own signal is obeyed, and init's goes before it", async () => {
    const reason = new RangeError('mine');
    const request = new Request(`${url}/echo`, { signal: AbortSignal.abort(reason) });
    await expect(fetch(request)).rejects.toBe(reason);
    const controller = new AbortController();
    expect((await fetch(new Request(`${url}/echo`), { signal: controller.signal })).status).toBe(200);
    expect((await fetch(`${url}/echo`, { signal: null })).status).toBe(200);
  });

  test("the platform's FormData, Blob, URLSearchParams, text, bytes and streams are sent as such", async () => {
    const form = new FormData();
    form.set('text', 'täxt');
    form.set('file', new File(['data'], 'a.txt', { type: 'text/plain' }));
    const sent = await json(`${url}/echo`, { method: 'POST', body: form });
    expect(sent.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(Buffer.from(sent.body, 'latin1').toString()).toContain('filename="a.txt"');
    const type = async (body: NonNullable<RequestInit['body']>) =>
      (await json(`${url}/echo`, { method: 'POST', body })).headers['content-type'];
    expect(await type('text')).toBe('text/plain;charset=UTF-8');
    expect(await type(new URLSearchParams({ a: '1' }))).toBe('application/x-www-form-urlencoded;charset=UTF-8');
    expect(await type(new Blob(['x'], { type: 'image/x' }))).toBe('image/x');
    expect(await type(new Uint8Array([1]))).toBeUndefined();
    const body = new Response('streamed').body;
    const streamed = await json(`${url}/echo`, { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect([streamed.body, streamed.headers['transfer-encoding']]).toEqual(['streamed', 'chunked']);
  });

  test('a multipart answer is a FormData', async () => {
    const form = new FormData();
    form.set('a', '1');
    await using echoing = await httpServer(async (request, response) => {
      response.setHeader('content-type', request.headers['content-type'] as string);
      request.pipe(response);
    });
    const answer = await (await fetch(echoing.url, { method: 'POST', body: form })).formData();
    expect(answer).toBeInstanceOf(FormData);
    expect([...answer]).toEqual([['a', '1']]);
  });

  test('methods are upper-cased where the standard says so, headers combined, a Request taken', async () => {
    expect((await json(`${url}/echo`, { method: 'post', body: 'x' })).method).toBe('POST');
    const headers = new Headers({ 'x-a': '1' });
    headers.append('x-a', '2');
    expect((await json(`${url}/echo`, { headers })).headers['x-a']).toBe('1, 2');
    const request = new Request(`${url}/echo`, { method: 'PUT', body: 'body', headers: { 'x-b': '3' } });
    expect(await json(request)).toMatchObject({ method: 'PUT', body: 'body', headers: { 'x-b': '3' } });
    expect(request.bodyUsed).toBe(true);
    await expect(fetch(request)).rejects.toThrow(TypeError);
    expect((await json(new URL(`${url}/echo?a=b#hash`))).url).toBe('/echo?a=b');
  });

  test('data: and blob: URLs are answered', async () => {
    const data = await fetch('data:text/plain,hello');
    expect([data.status, data.headers.get('content-type'), await data.text()]).toEqual([200, 'text/plain', 'hello']);
    const blob = URL.createObjectURL(new Blob(['bytes']));
    expect(await (await fetch(blob)).text()).toBe('bytes');
    URL.revokeObjectURL(blob);
    await expect(fetch(blob)).rejects.toThrow(TypeError);
  });

  test.each([
    ['a URL that is none', 'nonsense', {}],
    ['credentials in the URL', 'http://a:b@127.0.0.1/', {}],
    ['an unknown scheme', 'nothing://x', {}],
    ['a forbidden port', 'http://127.0.0.1:1/', {}],
    ['a forbidden method', 'http://127.0.0.1/', { method: 'TRACE' }],
    ['a GET with a body', 'http://127.0.0.1/', { body: 'x' }],
    ['a header name that is none', 'http://127.0.0.1/', { headers: { 'a b': 'c' } }],
    ['a stream without duplex', 'http://127.0.0.1/', { method: 'POST', body: new ReadableStream() }],
  ])('%s is a TypeError', async (_, input, init) => {
    const error = await rejection<Error>(fetch(input, init as RequestInit));
    expect(error).toBeInstanceOf(TypeError);
  });

  test('a refused connection and a broken body are TypeErrors with the cause', async () => {
    const gone = await httpServer(echo);
    await gone[Symbol.asyncDispose]();
    await expect(fetch(gone.url)).rejects.toMatchObject({ name: 'TypeError', cause: { code: 'ECONNREFUSED' } });
    const broken = await fetch(`${url}/gzip`);
    await expect(broken.text()).rejects.toThrow(TypeError);
  });
});
