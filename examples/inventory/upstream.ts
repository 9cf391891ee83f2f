/**
 * The outside world, in a process of its own and without aiokit: an HTTP server that serves every package.json below
 * node_modules, and does not always behave.
 *
 *   GET /packages            the paths of all of them
 *   GET /packages/<path>     one of them: at once, late, not at the first try, or never
 *   GET /connections/<name>  how many connections of the client with this `user-agent` are open
 */
import { globSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { temperOf } from './temper.ts';

export interface UpstreamSettings {
  /** A folder named node_modules. */
  readonly root: string;
  /** Decides which answers misbehave. */
  readonly seed: number;
  /** How many of the packages to serve. */
  readonly limit: number;
}

const { root, seed, limit } = JSON.parse(process.argv[2] ?? '{}') as UpstreamSettings;
const paths = globSync('**/package.json', { cwd: root }).sort().slice(0, limit);
const tries = new Map<string, number>();
const clients = new Map<Socket, string>();

const handle: RequestListener = async (request, response) => {
  const client = request.headers['user-agent'] ?? 'somebody';
  clients.set(request.socket, client);
  const send = (status: number, body: string) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);

  const [, resource, name = ''] = (request.url ?? '').split('/').map(decodeURIComponent);
  if (resource === 'connections')
    return send(200, String([...clients.values()].filter((each) => each === name).length));
  if (name === '') return send(200, JSON.stringify(paths));
  if (!paths.includes(name)) return send(404, '{}');

  const nth = (tries.get(`${client} ${name}`) ?? 0) + 1;
  tries.set(`${client} ${name}`, nth);
  const temper = temperOf(name, seed, nth);
  if (temper.kind === 'hangs') return undefined;
  if (temper.kind === 'fails') return send(503, '{"error":"not now"}');
  await delay(temper.delay);
  return send(200, readFileSync(join(root, name), 'utf8'));
};

const server = createServer((request, response) => void handle(request, response));
server.on('connection', (socket) => socket.once('close', () => clients.delete(socket)));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

// Ctrl-C reaches every process of the terminal: this one stays until the demo has ended, or died.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
