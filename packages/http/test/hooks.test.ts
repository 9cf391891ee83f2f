import { once } from 'node:events';
import { createServer, request as nodeRequest, type RequestListener } from 'node:http';
import { connect, constants } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { allTasks, createTask, currentTask, Future, shield, sleep } from '@aiokit/core';
import {
  background,
  expressTasks,
  fastifyTasks,
  type HookOptions,
  ignoreCancelled,
  koaTasks,
} from '@aiokit/http/server';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { expect, test, vi } from 'vitest';
import { eventually } from './support/eventually.ts';

type Handle = (path: string, method: string) => Promise<string>;

/** What a middleware before ours waits for, if it is asked for `/early`. */
type Early = (path: string) => Promise<void> | undefined;

type Make = (handle: Handle, options: HookOptions, early?: Early) => RequestListener | Promise<RequestListener>;

const frameworks: Record<string, Make> = {
  express(handle, options, early = () => undefined) {
    const app = express();
    app.use(async (request, _response, next) => {
      await early(request.path);
      next();
    });
    app.use(express.text(), expressTasks(options));
    app.use(async (request, response) => void response.send(await handle(request.path, request.method)));
    app.use(ignoreCancelled as never);
    return app;
  },
  koa(handle, options, early = () => undefined) {
    const app = new Koa();
    app.use(async (context, next) => {
      await early(context.path);
      await next();
    });
    app.use(koaTasks(options));
    app.use(async (context) => {
      context.body = await handle(context.path, context.method);
    });
    return app.callback();
  },
  async fastify(handle, options, early = () => undefined) {
    const app = fastify();
    app.addHook('onRequest', async (request) => await early(request.url));
    app.register(fastifyTasks as never, options);
    app.all('*', (request) => handle(request.url, request.method));
    await app.ready();
    return (request, response) => app.routing(request, response);
  },
};

test.each(Object.keys(frameworks))('a request of %s is a task that its client can cancel by leaving', async (name) => {
  const started = new Future<void>();
  const ended = new Future<string>();
  const log = vi.spyOn(console, 'error').mockImplementation(() => {});
  const listener = await frameworks[name]!(async (path) => {
    const task = currentTask()?.name ?? 'no task';
    await sleep(5);
    if (path !== '/hang') return task;
    started.setResult();
    try {
      await sleep(60_000);
      return 'late';
    } catch (error) {
      ended.setResult((error as Error).name);
      throw error;
    }
  }, {});
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await (await fetch(`${url}/a?b`)).text()).toBe('GET /a');
  const post = await fetch(`${url}/a`, { method: 'POST', body: 'text', headers: { 'content-type': 'text/plain' } });
  expect(await post.text()).toBe('POST /a');
  const outgoing = nodeRequest(`${url}/hang`).on('error', () => {});
  outgoing.end();
  await started;
  outgoing.destroy();
  expect(await ended).toBe('CancelledError');
  await new Promise(setImmediate);
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
  server.closeAllConnections();
  server.close();
});

test.each(Object.keys(frameworks))(
  'a request of %s is limited in time, and what it has started ends with it',
  async (name) => {
    const ended: string[] = [];
    const hang = async (what: string) => {
      try {
        await sleep(60_000);
        return 'late';
      } finally {
        ended.push(what);
      }
    };
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    const listener = await frameworks[name]!(
      async () => {
        createTask(() => hang('child'));
        return await hang('handler');
      },
      { requestTimeout: 200 },
    );
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const late = await fetch(`${url}/hang`);
    expect([late.status, await late.text()]).toEqual([504, 'Gateway Timeout']);
    await eventually(() => expect(ended.sort()).toEqual(['child', 'handler']));
    expect(log).not.toHaveBeenCalled();
    log.mockRestore();
    server.closeAllConnections();
    server.close();
  },
);

/** An app of the framework on a server of its own. */
async function listen(name: string, handle: Handle, options: HookOptions = {}, early?: Early) {
  const server = createServer(await frameworks[name]!(handle, options, early)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test.each(Object.keys(frameworks))(
  '%s: a client who has left before the task begins cancels it, too, and nothing is left',
  async (name) => {
    const left = new Future<void>();
    const waiting = new Future<void>();
    const ended = new Future<string>();
    const early = (path: string) => {
      if (path !== '/early') return undefined;
      waiting.setResult();
      return left.then(() => {});
    };
    using app = await listen(
      name,
      async () => {
        try {
          await sleep(60_000);
          return 'late';
        } catch (error) {
          ended.setResult((error as Error).name);
          throw error;
        }
      },
      {},
      early,
    );
    const outgoing = nodeRequest(`${app.url}/early`, { agent: false }).on('error', () => {});
    outgoing.end();
    await waiting;
    outgoing.destroy();
    await eventually(async () => expect(await promisify(app.server.getConnections.bind(app.server))()).toBe(0));
    left.setResult();
    expect(await ended).toBe('CancelledError');
    await eventually(() => expect([...allTasks()].map((task) => task.name)).not.toContain('GET /early'));
  },
);

test.each(Object.keys(frameworks))('%s: requests at the same time keep to their own tasks', async (name) => {
  using app = await listen(name, async (path) => {
    const own = currentTask();
    for (let turn = 0; turn < 5; turn++) {
      await sleep(turn % 2);
      await Promise.all([sleep(0), new Promise(setImmediate)]);
      if (currentTask() !== own) return 'mixed';
    }
    return own?.name === `GET ${path}` ? 'own' : 'mixed';
  });
  const answers = Array.from({ length: 200 }, async (_, i) => (await fetch(`${app.url}/${i}`)).text());
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['own']));
});

test.each(Object.keys(frameworks))(
  '%s: shield and background outlive a client who leaves; an error is the framework’s to answer',
  async (name) => {
    const release = new Future<void>();
    const ended: string[] = [];
    const begun = new Future<void>();
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    using app = await listen(name, async (path) => {
      if (path === '/throw') throw new Error('broken');
      background(async () => {
        await release;
        ended.push('background');
      });
      begun.setResult();
      await shield(async () => {
        await release;
        ended.push('shield');
      });
      return 'late';
    });
    expect((await fetch(`${app.url}/throw`)).status).toBe(500);
    log.mockRestore();
    const outgoing = nodeRequest(`${app.url}/leave`, { agent: false }).on('error', () => {});
    outgoing.end();
    await begun;
    outgoing.destroy();
    await eventually(async () => expect(await promisify(app.server.getConnections.bind(app.server))()).toBe(0));
    release.setResult();
    await eventually(() => expect(ended.sort()).toEqual(['background', 'shield']));
  },
);

test('Fastify over HTTP/2: a reset stream cancels its request, which its log calls a 499 and no failure', async () => {
  const lines: { level: number; res?: { statusCode: number } }[] = [];
  const app = fastify({
    http2: true,
    logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line)) } },
  });
  app.register(fastifyTasks as never);
  const started = new Future<void>();
  const ended = new Future<string>();
  app.get('/', async () => {
    started.setResult();
    try {
      return await sleep(60_000);
    } catch (error) {
      ended.setResult((error as Error).name);
      throw error;
    }
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const client = connect(url);
  const stream = client.request({ ':path': '/' }).on('error', () => {});
  await started;
  stream.close(constants.NGHTTP2_CANCEL);
  expect(await ended).toBe('CancelledError');
  await eventually(() => expect(lines.some(({ res }) => res?.statusCode === 499)).toBe(true));
  expect(lines.filter(({ level }) => level > 30)).toEqual([]);
  client.destroy();
  await app.close();
});

test('a limit beyond what Node takes is none; one that cannot be is refused', async () => {
  using app = await listen('koa', () => sleep(20).then(() => 'whole'), { requestTimeout: Infinity });
  expect(await (await fetch(app.url)).text()).toBe('whole');
  expect(() => expressTasks({ requestTimeout: 0 })).toThrow(
    new RangeError('requestTimeout (or null for no limit) must be > 0, got 0'),
  );
  expect(() => koaTasks({ cancelOnDisconnect: 'GET' as never })).toThrow(TypeError);
});
