import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { CancelledError, createTask, Future, type Task } from '@aiokit/core';
import { ClientPayloadError, ClientSchemaError, ClientSession, type StandardSchema } from '@aiokit/http';
import { expect, test } from 'vitest';
import { eventually, settled } from './support/eventually.ts';
import { type Echoed, echo, httpServer, rejection } from './support/http-server.ts';

test('form, multipart, bytes, Blob and streams arrive as they were given', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url });
  const post = (options: object) => session.post('/', options).json<Echoed>();
  const form = await post({ form: { a: 1, b: 'ä&' } });
  expect([form.body, form.headers['content-type']]).toEqual([
    'a=1&b=%C3%A4%26',
    'application/x-www-form-urlencoded;charset=UTF-8',
  ]);
  expect((await post({ body: new Uint8Array([65, 66]) })).body).toBe('AB');
  const blob = await post({ body: new Blob(['blob'], { type: 'text/x' }) });
  expect([blob.body, blob.headers['content-type'], blob.headers['content-length']]).toEqual(['blob', 'text/x', '4']);
  const stream = await post({ body: Readable.from(['a', 'b']) });
  expect([stream.body, stream.headers['transfer-encoding']]).toEqual(['ab', 'chunked']);
  const web = await post({ body: new Response('web').body });
  expect(web.body).toBe('web');
});

test('multipart holds texts, files and streams, and tells its length if it can', async () => {
  const parsed: [string, string, string][] = [];
  await using server = await httpServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const headers = { 'content-type': request.headers['content-type'] as string };
    const form = await new Response(Buffer.concat(chunks), { headers }).formData();
    for (const [name, value] of form) {
      parsed.push([
        name,
        typeof value === 'string' ? '' : `${value.name} ${value.type}`,
        typeof value === 'string' ? value : await value.text(),
      ]);
    }
    response.end(request.headers['content-length'] ?? 'chunked');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const length = await session
    .post('/', {
      multipart: { 'na"me': 'täxt', list: [1, 2], file: new File(['data'], 'a "b".txt', { type: 'text/plain' }) },
    })
    .text();
  expect(Number(length)).toBeGreaterThan(100);
  async function* source() {
    yield 'streamed';
  }
  expect(await session.post('/', { multipart: { part: { content: source(), filename: 's.bin' } } }).text()).toBe(
    'chunked',
  );
  const form = new FormData();
  form.set('platform', 'yes');
  await session.post('/', { body: form }).bytes();
  expect(parsed).toEqual([
    ['na"me', '', 'täxt'],
    ['list', '', '1'],
    ['list', '', '2'],
    ['file', 'a "b".txt text/plain', 'data'],
    ['part', 's.bin application/octet-stream', 'streamed'],
    ['platform', '', 'yes'],
  ]);
});

test('there is one body, and it is something that can be sent', async () => {
  await using session = new ClientSession();
  expect(() => session.post('http://localhost/', { json: 1, body: 'x' })).toThrow('A request has one body');
  expect(() => session.post('http://localhost/', { body: {} as never })).toThrow(
    'An object is sent with the option json',
  );
  expect(() => session.get('/relative')).toThrow('A path alone needs a baseUrl');
});

test('an upload is pulled no faster than the server takes it, and ends when it is cancelled', async () => {
  await using server = await httpServer(() => {}); // Reads nothing.
  await using session = new ClientSession({ baseUrl: server.url });
  let pulled = 0;
  const ended = new Future<void>();
  async function* source() {
    try {
      for (;;) {
        pulled++;
        yield new Uint8Array(64 * 1024);
      }
    } finally {
      ended.setResult();
    }
  }
  const arrived = server.nextRequest();
  const task = createTask(() => session.post('/', { body: source() })) as Task<unknown>;
  await arrived;
  await settled(() => pulled);
  expect(pulled).toBeLessThan(500);
  task.cancel();
  await expect(task).rejects.toBeInstanceOf(CancelledError);
  await ended;
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test("an upload's own error is the request's", async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url });
  async function* source() {
    yield 'half';
    throw new RangeError('my disk');
  }
  await expect(session.post('/', { body: source() })).rejects.toThrow(new RangeError('my disk'));
});

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
] as const)('%s is decoded, whole and in pieces', async (encoding, compress) => {
  const text = 'compressible '.repeat(20_000);
  await using server = await httpServer((_, response) => {
    response.setHeader('content-encoding', encoding);
    response.end(compress(Buffer.from(text)));
  });
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await session.get('/').text()).toBe(text);
  let length = 0;
  for await (const chunk of (await session.get('/')).body) length += chunk.length;
  expect(length).toBe(text.length);
  const raw = await session.get('/', { decompress: false }).bytes();
  expect(raw.equals(compress(Buffer.from(text)))).toBe(true);
});

test('a body function that throws fails its own request alone, whoever made room for it', async () => {
  await using server = await httpServer(echo);
  await using session = new ClientSession({ baseUrl: server.url, limit: 1 });
  const body = (): never => {
    throw new RangeError('no such file');
  };
  await expect(session.post('/', { body })).rejects.toThrow(new RangeError('no such file'));
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
  const first = session.get('/').json<Echoed>();
  const second = rejection(session.post('/', { body }));
  const third = session.get('/third').json<Echoed>();
  expect((await first).url).toBe('/');
  expect(await second).toEqual(new RangeError('no such file'));
  expect((await third).url).toBe('/third');
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

/** Answers with bytes that went through these, the first one first. */
async function encodingServer(bytes: Buffer, encodings: string | string[], ...compress: ((bytes: Buffer) => Buffer)[]) {
  const encoded = compress.reduce((inner, one) => one(inner), bytes);
  return httpServer((_, response) => {
    response.setHeader('content-encoding', encodings);
    response.end(encoded);
  });
}

test.each([
  ['gzip, gzip', gzipSync, gzipSync],
  ['deflate,identity, BR', deflateRawSync, brotliCompressSync],
  [['gzip', 'br'], gzipSync, brotliCompressSync],
  ['gzip, br, deflate, zstd, x-gzip', gzipSync, brotliCompressSync, deflateSync, zstdCompressSync, gzipSync],
] as [string | string[], ...((bytes: Buffer) => Buffer)[]][])(
  '%s is undone from its end',
  async (encodings, ...all) => {
    const bytes = randomBytes(300_000);
    await using server = await encodingServer(bytes, encodings, ...all);
    await using session = new ClientSession({ baseUrl: server.url });
    expect((await session.get('/').bytes()).equals(bytes)).toBe(true);
    const pieces: Uint8Array[] = [];
    for await (const chunk of (await session.get('/')).body) pieces.push(chunk);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
  },
);

test.each([['constructor'], ['gzip, rot13']])('what is encoded with %s is passed on as it is', async (encodings) => {
  await using server = await encodingServer(Buffer.from('as it is'), encodings);
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await session.get('/').text()).toBe('as it is');
});

test('more than five encodings are refused, and a bomb between two of them is cut', async () => {
  await using six = await encodingServer(Buffer.from('x'), Array(6).fill('gzip'), ...Array(6).fill(gzipSync));
  await using session = new ClientSession({ maxBodySize: 2 ** 20 });
  const refused = await rejection<Error>(session.get(six.url).bytes());
  expect(refused).toBeInstanceOf(ClientPayloadError);
  expect(refused.message).toContain('the body cannot be decoded: it was encoded more than 5 times');
  // Members without any content: 40 MiB of them are nothing in the end.
  const empty = gzipSync(Buffer.alloc(0));
  const bomb = () => Buffer.alloc(40 * 2 ** 20, empty);
  await using server = await encodingServer(bomb(), 'gzip, gzip', gzipSync);
  const error = await rejection<Error>(session.get(server.url).bytes());
  expect(error).toBeInstanceOf(ClientPayloadError);
  expect(error.message).toContain('between two decodings the body is larger than maxBodySize (1048576 bytes)');
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('a response that is released while its decoders wait for each other gives up its connection', async () => {
  await using server = await encodingServer(randomBytes(4 * 2 ** 20), 'gzip, zstd', gzipSync, zstdCompressSync);
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  await response.read(); // The rest fills all buffers on the way.
  response.release();
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  await eventually(async () => expect(await server.openConnections()).toBe(0));
});

test('a body is given once: nobody takes nothing for it', async () => {
  await using server = await httpServer((_, response) => response.end('all of it'));
  await using session = new ClientSession({ baseUrl: server.url });
  const read = new TypeError(`GET ${server.url}/: the body has been read already`);
  const shared = await session.get('/');
  const both = await Promise.allSettled([shared.text(), shared.text()]);
  expect(both[0]).toEqual({ status: 'fulfilled', value: 'all of it' });
  expect(both[1]).toMatchObject({ status: 'rejected', reason: expect.any(TypeError) });
  expect(await shared.text()).toBe('all of it'); // It was kept.
  await expect(Array.fromAsync(shared.lines())).rejects.toThrow(read);
  const iterated = await session.get('/');
  expect(await Array.fromAsync(iterated.lines())).toEqual(['all of it']);
  await expect(iterated.text()).rejects.toThrow(read);
});

test('a response that was released gives nothing, instead of an empty text', async () => {
  const end = new Future<void>();
  await using server = await httpServer((_, response) => {
    response.write('half');
    end.then(() => response.end());
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  response.release();
  const gone = `GET ${server.url}/: the response was released before its end`;
  await expect(response.text()).rejects.toThrow(gone);
  end.setResult();
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
  await expect(response.text()).rejects.toThrow(gone);
});

test('lines in a charset that nobody knows are the bytes, as text() is', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('content-type', 'text/plain; charset=x-nobody');
    response.end('one\ntwo');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await Array.fromAsync((await session.get('/')).lines())).toEqual(['one', 'two']);
});

test('a content-type that comes twice is the first one', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('content-type', ['text/plain; charset=latin1', 'text/html']);
    response.end(Buffer.from('é', 'latin1'));
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  expect([response.contentType, await response.text()]).toEqual(['text/plain', 'é']);
});

test('a decompression bomb is cut', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync(Buffer.alloc(50 * 2 ** 20)));
  });
  await using session = new ClientSession({ baseUrl: server.url, maxBodySize: 2 ** 20 });
  const error = await rejection<Error>(session.get('/').bytes());
  expect(error).toBeInstanceOf(ClientPayloadError);
  expect(error.message).toContain('larger than maxBodySize (1048576 bytes, counted after decompression)');
});

test('half a body is an error, not a short body', async () => {
  await using server = await httpServer((request, response) => {
    response.setHeader('content-length', 10);
    if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip');
    response.write('half');
    setImmediate(() => response.destroy());
  });
  await using session = new ClientSession({ baseUrl: server.url });
  for (const path of ['/', '/gzip']) {
    await expect(session.get(path).text()).rejects.toBeInstanceOf(ClientPayloadError);
  }
});

test('lines come out whole, whatever the pieces', async () => {
  await using server = await httpServer(async (_, response) => {
    for (const piece of ['on', 'e\r', '\ntwo\n\nfo', 'ür', '\r\nlast']) {
      response.write(piece);
      await new Promise(setImmediate);
    }
    response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  expect(await Array.fromAsync(response.lines())).toEqual(['one', 'two', '', 'foür', 'last']);
});

test('leaving a loop early gives the connection back', async () => {
  await using server = await httpServer((_, response) => {
    for (let i = 0; i < 100_000; i++) response.write('line\n');
    response.end();
  });
  await using session = new ClientSession({ baseUrl: server.url });
  for await (const line of (await session.get('/')).lines()) {
    expect(line).toBe('line');
    break;
  }
  await eventually(() => expect(session.statistics()).toEqual({ active: 0, waiting: 0 }));
});

test('a response that nobody reads is given up when its block or its task ends', async () => {
  await using server = await httpServer((_, response) => void response.write('x'.repeat(100_000)));
  await using session = new ClientSession({ baseUrl: server.url });
  {
    await using response = await session.get('/', { headers: { 'x-a': '1' } });
    expect(response.status).toBe(200);
  }
  expect(await server.seen[0]!.closed).toBe(false);
  await createTask(async () => {
    await session.get('/');
  });
  expect(await server.seen[1]!.closed).toBe(false);
  expect(session.statistics()).toEqual({ active: 0, waiting: 0 });
});

test('server-sent events are parsed as they arrive', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write('id: 7\nevent: tick\ndata: a\ndata: b\n\n: comment\n\ndata: {"c":1}\n');
    response.end('\n');
  });
  await using session = new ClientSession({ baseUrl: server.url });
  expect(await Array.fromAsync((await session.get('/')).events())).toEqual([
    { event: 'tick', data: 'a\nb', id: '7' },
    { event: 'message', data: '{"c":1}', id: '7' },
  ]);
});

test('JSON is validated by any Standard Schema, and what is no JSON says so', async () => {
  const schema: StandardSchema<{ name: string }> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        typeof (value as { name?: unknown }).name === 'string'
          ? { value: value as { name: string } }
          : { issues: [{ message: 'must be a string', path: ['name'] }] },
    },
  };
  await using server = await httpServer((request, response) =>
    response.end(request.url === '/html' ? '<html>' : `{"name":${decodeURIComponent(request.url!.slice(1))}}`),
  );
  await using session = new ClientSession({ baseUrl: server.url });
  const { name } = await session.get('/"Ada"').json(schema);
  expect(name).toBe('Ada');
  const error = await rejection<Error>(session.get('/1').json(schema));
  expect(error).toBeInstanceOf(ClientSchemaError);
  expect(error.message).toBe(`GET ${server.url}/1: the answer does not match its schema: name: must be a string`);
  await expect(session.get('/html').json()).rejects.toThrow('the answer (200, no content-type) is not JSON: "<html>"');
});

test('a charset is obeyed, and text and JSON may follow each other', async () => {
  await using server = await httpServer((_, response) => {
    response.setHeader('content-type', 'application/json; charset=iso-8859-1');
    response.end(Buffer.from('"\xe4"', 'latin1'));
  });
  await using session = new ClientSession({ baseUrl: server.url });
  const response = await session.get('/');
  expect(await response.text()).toBe('"ä"');
  expect((await response.bytes()).length).toBe(3);
  expect(response.contentType).toBe('application/json');
});
