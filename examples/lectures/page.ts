/** A small page on this machine, for the programs that fetch one. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const PAGE = `<!doctype html><title>A page</title><p>${'All work and no play makes Jack a dull boy. '.repeat(10)}`;

/** Serves the page while `body` runs. */
export async function withPage<R>(body: (url: string) => PromiseLike<R>): Promise<R> {
  const server = createServer((_, response) => response.end(PAGE)).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    return await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
