/**
 * CPU time per request of @aiokit/http against what it stands on, in interleaved rounds: throughput spreads by half on a
 * shared machine, the ratio of CPU times within a round does not. The other end is a process of its own.
 *
 * Each client, and each server, has a process of its own in each round, and collects its garbage when it likes: a `gc()` between samples throws
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
const WARM_UP = 10;
const SAMPLES = 10;
/** Of a server: its code is larger than a client's, and each connection has to be made. */
const SERVER_WARM_UP = 10;
const CONNECTIONS = 100;
const BARE = 'hono on @hono/node-server';
const SERVED = 'hono on serve()';
/** In flight at once, in the last measurement. */
const MANY = 10_000;
const BODY = JSON.stringify({ text: 'x'.repeat(1_000) });

/** Runs `ask` so many times, so many at once. */
async function load(ask: () => Promise<unknown>, concurrency: number, requests = REQUESTS): Promise<void> {
  let left = requests;
  const worker = async () => {
    while (left-- > 0) await ask();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number;

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
  const session = new ClientSession({ baseUrl: url, cookieJar: null, limit: MANY });
  const started = performance.now();
  const before = process.cpuUsage();
  const answers = await createTask(() => Promise.all(Array.from({ length: MANY }, () => session.get('/all').json())));
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  const { user, system } = process.cpuUsage(before);
  const rss = Math.round(process.memoryUsage.rss() / 2 ** 20);
  await session.close(); // No `await using`: Node 22 runs this, too.
  console.log(`\n${answers.length} requests of 1 kB in flight at once, each on its connection`);
  console.log(`  ${seconds} s, ${((user + system) / MANY).toFixed(1)} µs of CPU per request, ${rss} MiB resident`);
}

async function benchServer(rounds: number): Promise<void> {
  for (const path of ['/sync', '/async']) {
    const costs: Record<string, number[]> = { [BARE]: [], [SERVED]: [] };
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [BARE, SERVED] : [SERVED, BARE];
      for (const [label, cost] of await measureServers(order, path)) costs[label]?.push(cost);
    }
    const [bare, served] = [costs[BARE] as number[], costs[SERVED] as number[]];
    const ratios = served.map((cost, round) => cost / (bare[round] as number));
    console.log(`\nserver, ${CONNECTIONS} connections: hono ${path}`);
    console.log(`  ${BARE.padEnd(34)} ${median([...bare]).toFixed(1)}`);
    console.log(`  ${SERVED.padEnd(34)} ${median([...served]).toFixed(1)}  x ${median(ratios).toFixed(3)}`);
  }
}

/** Both in turns, so that what else the machine does falls on both. */
async function measureServers(labels: readonly string[], path: string): Promise<Map<string, number>> {
  const children = labels.map((label) => fork(import.meta.filename, ['as-app', label], { execArgv: process.execArgv }));
  const urls = await Promise.all(children.map(async (child) => ((await once(child, 'message')) as [string])[0] + path));
  const costs = new Map(labels.map((label): [string, number] => [label, 0]));
  const agent = new Agent({ connections: CONNECTIONS });
  const drive = (url: string) => load(async () => (await request(url, { dispatcher: agent })).body.dump(), CONNECTIONS);
  for (let i = 0; i < SERVER_WARM_UP; i++) for (const url of urls) await drive(url);
  for (let i = 0; i < SAMPLES; i++) {
    for (const [index, child] of children.entries()) {
      const before = await cpuTime(child);
      await drive(urls[index] as string);
      const label = labels[index] as string;
      costs.set(label, (costs.get(label) as number) + ((await cpuTime(child)) - before) / REQUESTS / SAMPLES);
    }
  }
  await agent.destroy();
  for (const child of children) child.kill();
  return costs;
}

async function cpuTime(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [time] = (await once(child, 'message')) as [number];
  return time;
}

/** The process of one server in one round. */
async function asApp(label: string): Promise<void> {
  const app = new Hono();
  app.get('/sync', (c) => c.text('hello'));
  app.get('/async', async (c) => {
    await null;
    return c.json({ hello: 'world' });
  });
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  if (label === SERVED) {
    const server = await serve(app, { port: 0 });
    process.send?.(server.url);
  } else {
    const server = createAdaptorServer({ fetch: app.fetch }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
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

if (process.argv[2] === 'as-server') await asServer();
else if (process.argv[2] === 'as-app') await asApp(process.argv[3] as string);
else if (process.argv[2] === 'as-variant') await asVariant(process.argv.slice(3));
else {
  const rounds = Number(process.argv[2] ?? 15);
  console.log(`Node ${process.version}, ${rounds} rounds of ${REQUESTS}: µs of CPU per request (median), ratio`);
  const side = process.argv[3];
  if (side !== 'server') await benchClient(Math.ceil(rounds / 3));
  if (side !== 'client') await benchServer(Math.ceil(rounds / 3));
  process.exit();
}
