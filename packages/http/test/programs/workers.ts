/** Two processes that serve: `/` says which one answered and whether it is closing; the first one says where they are, and what it sees. */
import cluster from 'node:cluster';
import { type RunningServer, serve } from '@aiokit/http/server';

const server: RunningServer = await serve(
  async (request) => {
    if (request.url.endsWith('/die')) process.kill(process.pid, 'SIGKILL');
    return Response.json({ pid: process.pid, closing: server.closing });
  },
  { port: 0, workers: 2, drainDelay: 3_000, log: (line) => console.log(line) },
);
if (cluster.isPrimary) console.log(`all at ${server.url}`);
await server.untilClosed();
