/**
 * CPU time per request of whole servers, each in a process of its own, under the same load: 100 connections, `GET /` answered
 * with a small JSON by an async handler. Rounds are interleaved, and CPU time is what the system charges the process: throughput
 * on a shared machine says little. FastAPI on uvicorn and aiohttp.web are measured where they are installed
 * (`pip install fastapi uvicorn[standard] aiohttp`; AIOKIT_PYTHON says which Python).
 *
 *   node --conditions=@aiokit/source http-servers.bench.ts [rounds]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Agent, request } from 'undici';

const REQUESTS = 2_000;
const CONNECTIONS = 100;
const PYTHON = process.env.AIOKIT_PYTHON ?? 'python3';

/** Each prints its port when it listens. (Fastify and Express are there for the tests of @aiokit/http.) */
const NODE_SERVERS: Record<string, string> = {
  'serve(), a plain function': `
    import { serve } from '@aiokit/http/server';
    const server = await serve(async () => Response.json({ hello: 'world' }), { port: 0 });
    console.log(new URL(server.url).port);`,
  'serve(), hono': `
    import { serve } from '@aiokit/http/server';
    import { Hono } from 'hono';
    const app = new Hono().get('/', async (c) => c.json({ hello: 'world' }));
    const server = await serve(app, { port: 0 });
    console.log(new URL(server.url).port);`,
  'hono on @hono/node-server': `
    import { serve } from '@hono/node-server';
    import { Hono } from 'hono';
    const app = new Hono().get('/', async (c) => c.json({ hello: 'world' }));
    serve({ fetch: app.fetch, port: 0 }, ({ port }) => console.log(port));`,
  'Fastify 5': `
    import fastify from 'fastify';
    const app = fastify();
    app.get('/', async () => ({ hello: 'world' }));
    await app.listen({ port: 0, host: '127.0.0.1' });
    console.log(app.server.address().port);`,
  'Express 5': `
    import express from 'express';
    const app = express();
    app.get('/', async (_, response) => response.json({ hello: 'world' }));
    const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));`,
};

const PYTHON_SERVERS: Record<string, string> = {
  'FastAPI on uvicorn': `
import asyncio, socket, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def root():
    return {"hello": "world"}
sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
asyncio.run(uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="error")).serve(sockets=[sock]))`,
  'aiohttp.web': `
import asyncio, socket
from aiohttp import web
async def root(request):
    return web.json_response({"hello": "world"})
app = web.Application()
app.add_routes([web.get("/", root)])
sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
web.run_app(app, sock=sock, print=None, access_log=None)`,
};

interface Measured {
  readonly label: string;
  readonly child: ChildProcess;
  readonly url: string;
  /** µs of CPU per request, round by round. */
  readonly times: number[];
}

async function start(label: string, command: string, args: string[]): Promise<Measured> {
  const child = spawn(command, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [port] = (await Promise.race([once(lines, 'line'), once(child, 'exit')])) as [string];
  return { label, child, url: `http://127.0.0.1:${port}/`, times: [] };
}

/** What the system has charged all threads of the process so far, in µs. */
function cpuTime({ pid }: ChildProcess): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ', 1)[0]));
  return times.reduce((sum, time) => sum + time, 0) / 1_000;
}

async function drive(url: string): Promise<void> {
  const agent = new Agent({ connections: CONNECTIONS });
  let left = REQUESTS;
  const client = async () => {
    while (left-- > 0) await (await request(url, { dispatcher: agent })).body.dump();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  await agent.close();
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

async function main(): Promise<void> {
  if (process.platform !== 'linux') return console.log('CPU times of other processes are read from /proc: Linux only.');
  const rounds = Number(process.argv[2] ?? 9);
  const servers: Measured[] = [];
  try {
    for (const [label, source] of Object.entries(NODE_SERVERS)) {
      const args = ['--conditions=@aiokit/source', '--input-type=module', '--eval', source];
      servers.push(await start(label, process.execPath, args));
    }
    for (const [label, source] of Object.entries(PYTHON_SERVERS)) {
      const imports = source.split('\n').filter((line) => /^(import|from)/.test(line));
      if (spawnSync(PYTHON, ['-c', imports.join('\n')]).status === 0) {
        servers.push(await start(label, PYTHON, ['-c', source]));
      } else console.log(`${label}: not installed`);
    }
    for (const { url } of servers) await drive(url);
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(i + round) % servers.length] as Measured;
        const before = cpuTime(server.child);
        await drive(server.url);
        server.times.push((cpuTime(server.child) - before) / REQUESTS);
      }
    }
    console.log(`Node ${process.version}, ${rounds} rounds of ${REQUESTS}: µs of CPU per request (median)`);
    for (const { label, times } of servers) console.log(`  ${label.padEnd(28)} ${median(times).toFixed(1)}`);
  } finally {
    for (const { child } of servers) child.kill('SIGKILL');
  }
}

await main();
