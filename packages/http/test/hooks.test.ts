import { once } from 'node:events';
import { createServer, request as nodeRequest, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTask, currentTask, Future, sleep } from '@aiokit/core';
import { expressTasks, fastifyTasks, type HookOptions, ignoreCancelled, koaTasks } from '@aiokit/http/server';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import { expect, test, vi } from 'vitest';
import { eventually } from './support/eventually.ts';

type Handle = (path: string, method: string) => Promise<string>;

const frameworks: Record<string, (handle: Handle, options: HookOptions) => RequestListener | Promise<RequestListener>> =
  {
    express(handle, options) {
      const app = express();
      app.use(express.text(), expressTasks(options));
      app.use(async (request, response) => void response.send(await handle(request.path, request.method)));
      app.use(ignoreCancelled as never);
      return app;
    },
    koa(handle, options) {
      const app = new Koa();
      app.use(koaTasks(options));
      app.use(async (context) => {
        context.body = await handle(context.path, context.method);
      });
      return app.callback();
    },
    async fastify(handle, options) {
      const app = fastify();
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
