/**
 * CPU time per request of @aiokit/http against what it stands on, in interleaved rounds: throughput spreads by half on a
 * shared machine, the ratio of CPU times within a round does not. The other end is a process of its own.
 *
 * Each client has a process of its own in each round, and collects its garbage when it likes: a `gc()` between samples throws
 * away compiled code, which made a bare `undici.request` twice as dear, and what outlives a request did not show.
 *
 *   node --conditions=@aiokit/source --expose-gc http.bench.ts [rounds] [client | server]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTask } from '@aiokit/core';
import { fetch as boundFetch, ClientSession } from '@aiokit/http';
import { serve } from '@aiokit/http/server';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { Agent, request } from 'undici';
import { aiohttp, peers } from './http/peers.ts';

const REQUESTS = 2_000;
/** Of a client, before it is measured and while it is, in REQUESTS. */
const WARM_UP = 4;
const SAMPLES = 6;
/** Of the server, in one sample: short ones, so that what else the machine does falls on both alike. */
const SERVER_REQUESTS = 500;
/** In flight at once, in the last measurement. */
const MANY = 10_000;
const BODY = JSON.stringify({ text: 'x'.repeat(1_000) });

interface Variant {
  readonly label: string;
  work(): Promise<unknown>;
}

/** Runs `ask` so many times, so many at once. */
async function load(ask: () => Promise<unknown>, concurrency: number, requests = REQUESTS): Promise<void> {
  let left = requests;
  const worker = async () => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

/** In µs of CPU per request. */
async function measure(work: () => Promise<unknown>, requests: number): Promise<number> {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / requests;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

/** The first variant is what the others are compared with. */
async function compare(
  title: string,
  rounds: number,
  variants: readonly Variant[],
  requests = REQUESTS,
): Promise<void> {
  const times = variants.map((): number[] => []);
  for (const { work } of variants) await work();
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      const index = (i + round) % variants.length;
      times[index]?.push(await measure((variants[index] as Variant).work, requests));
    }
  }
  console.log(`\n${title}`);
  const reference = times[0] as number[];
  const inOrder = times.map((list) => [...list]);
  for (const [index, { label }] of variants.entries()) {
    const ratios = (inOrder[index] as number[]).map((time, round) => time / (inOrder[0]?.[round] as number));
    const ratio = index === 0 ? '' : `  x ${median(ratios).toFixed(3)}`;
    console.log(
      `  ${label.padEnd(34)} ${median(index === 0 ? [...reference] : [...(times[index] as number[])]).toFixed(1)}${ratio}`,
    );
  }
}

/** Which clients there are, and what each is compared with. */
const CLIENTS: Record<string, string | null> = {
  'undici.request': null,
  'ClientSession, outside a task': 'undici.request',
  'ClientSession, in a task': 'undici.request',
  "the platform's fetch": null,
  'fetch, outside a task': "the platform's fetch",
  'fetch, in a task': "the platform's fetch",
  ky: null,
  axios: null,
  got: null,
};

function clientWork(label: string, url: string, concurrency: number): () => Promise<unknown> {
  const agent = new Agent();
  const session = new ClientSession({ baseUrl: url, cookieJar: null, decompress: false, limit: 1_000 });
  const bySession = () => session.get('/').json();
  const byFetch = async () => (await boundFetch(url)).json();
  switch (label) {
    case 'undici.request':
      return () => load(async () => (await request(url, { dispatcher: agent })).body.json(), concurrency);
    case 'ClientSession, outside a task':
      return () => load(bySession, concurrency);
    case 'ClientSession, in a task':
      return async () => createTask(() => load(bySession, concurrency));
    case "the platform's fetch":
      return () => load(async () => (await fetch(url)).json(), concurrency);
    case 'fetch, outside a task':
      return () => load(byFetch, concurrency);
    case 'fetch, in a task':
      return async () => createTask(() => load(byFetch, concurrency));
  }
  const peer = peers().find((each) => each.label === label);
  if (peer === undefined) throw new Error(`There is no client ${label}`);
  return () => load(() => peer.get(url), concurrency);
}

/** The process of one client in one round. */
async function asVariant([label, url, concurrency]: string[]): Promise<void> {
  const work = clientWork(label as string, url as string, Number(concurrency));
  for (let i = 0; i < WARM_UP; i++) await work();
  const before = process.cpuUsage();
  for (let i = 0; i < SAMPLES; i++) await work();
  const { user, system } = process.cpuUsage(before);
  process.send?.((user + system) / REQUESTS / SAMPLES, () => process.exit());
}

async function measureClient(label: string, url: string, concurrency: number): Promise<number> {
  const child = fork(import.meta.filename, ['as-variant', label, url, String(concurrency)], {
    execArgv: process.execArgv,
  });
  const [cost] = (await once(child, 'message')) as [number];
  return cost;
}

async function benchClient(rounds: number): Promise<void> {
  const child = fork(import.meta.filename, ['as-server'], { execArgv: process.execArgv });
  const [url] = (await once(child, 'message')) as [string];
  for (const concurrency of [50, 500]) {
    const labels = Object.keys(CLIENTS);
    const costs = new Map(labels.map((label): [string, number[]] => [label, []]));
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? labels : labels.toReversed();
      for (const label of order) costs.get(label)?.push(await measureClient(label, url, concurrency));
    }
    console.log(`\nclient, ${concurrency} at once`);
    for (const [label, list] of costs) {
      const base = costs.get(CLIENTS[label] ?? '');
      const ratio = base === undefined ? '' : `  x ${median(list.map((c, i) => c / (base[i] as number))).toFixed(3)}`;
      console.log(`  ${label.padEnd(34)} ${median([...list]).toFixed(1)}${ratio}`);
    }
    console.log(`  ${'aiohttp (Python)'.padEnd(34)} ${await aiohttp(url, concurrency, REQUESTS, rounds)}`);
  }
  await manyAtOnce(url);
  child.kill();
}

/** The server answers none of them before all are there. */
async function manyAtOnce(url: string): Promise<void> {
  await using session = new ClientSession({ baseUrl: url, cookieJar: null, limit: MANY });
  const started = performance.now();
  const before = process.cpuUsage();
  const answers = await createTask(() => Promise.all(Array.from({ length: MANY }, () => session.get('/all').json())));
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  const { user, system } = process.cpuUsage(before);
  const rss = Math.round(process.memoryUsage.rss() / 2 ** 20);
  console.log(`\n${answers.length} requests of 1 kB in flight at once, each on its connection`);
  console.log(`  ${seconds} s, ${((user + system) / MANY).toFixed(1)} µs of CPU per request, ${rss} MiB resident`);
}

async function benchServer(rounds: number): Promise<void> {
  const app = new Hono();
  app.get('/sync', (c) => c.text('hello'));
  app.get('/async', async (c) => {
    await null;
    return c.json({ hello: 'world' });
  });
  const bare = createAdaptorServer({ fetch: app.fetch });
  bare.listen(0, '127.0.0.1');
  await once(bare, 'listening');
  await using server = await serve(app, { port: 0 });
  const client = fork(import.meta.filename, ['as-client'], { execArgv: process.execArgv });
  const bareUrl = `http://127.0.0.1:${(bare.address() as AddressInfo).port}`;
  for (const path of ['/sync', '/async']) {
    const variants = [
      { label: 'hono on @hono/node-server', work: () => drive(client, bareUrl + path) },
      { label: 'hono on serve()', work: () => drive(client, server.url + path) },
    ];
    // A warm-up of many short samples: the engine has to have seen both.
    for (let i = 0; i < 20; i++) for (const { work } of variants) await work();
    await compare(`server, 100 connections: hono ${path}`, rounds * 10, variants, SERVER_REQUESTS);
  }
  client.kill();
  bare.close();
}

async function drive(client: ChildProcess, url: string): Promise<void> {
  client.send(url);
  await once(client, 'message');
}

async function asServer(): Promise<void> {
  const held: ServerResponse[] = [];
  const answer = (response: ServerResponse) => {
    response.setHeader('content-type', 'application/json');
    response.end(BODY);
  };
  const server = createServer((request, response) => {
    if (request.url !== '/all') return answer(response);
    if (held.push(response) === MANY) for (const each of held.splice(0)) answer(each);
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: MANY });
  await once(server, 'listening');
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function asClient(): void {
  const agent = new Agent({ connections: 100 });
  process.on('message', async (url: string) => {
    await load(async () => (await request(url, { dispatcher: agent })).body.dump(), 100, SERVER_REQUESTS);
    process.send?.('done');
  });
}

if (process.argv[2] === 'as-server') await asServer();
else if (process.argv[2] === 'as-client') asClient();
else if (process.argv[2] === 'as-variant') await asVariant(process.argv.slice(3));
else {
  const rounds = Number(process.argv[2] ?? 15);
  console.log(`Node ${process.version}, ${rounds} rounds of ${REQUESTS}: µs of CPU per request (median), ratio`);
  const side = process.argv[3];
  if (side !== 'server') await benchClient(Math.ceil(rounds / 3));
  if (side !== 'client') await benchServer(rounds);
  process.exit();
}
