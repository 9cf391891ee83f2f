import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as the server saw it. */
export interface Seen {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Resolves to whether the client was still there when the response closed. */
  readonly closed: Promise<boolean>;
}

/** A real server on loopback, which remembers what it was asked. */
export async function httpServer(listener: RequestListener) {
  const seen: Seen[] = [];
  const waiting: ((seen: Seen) => void)[] = [];
  const server = createServer({ highWaterMark: 16 * 1024 }, (request, response) => {
    const closed = new Promise<boolean>((resolve) => {
      response.on('close', () => resolve(response.writableEnded));
    });
    const entry = { request, response, closed };
    seen.push(entry);
    listener(request, response);
    waiting.shift()?.(entry);
  });
  let connections = 0;
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    server,
    /** How many connections were ever made. */
    connectionsMade: () => connections,
    openConnections: () =>
      new Promise<number>((resolve, reject) => {
        server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
      }),
    /** The next request that arrives. */
    nextRequest: () => new Promise<Seen>((resolve) => waiting.push(resolve)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with what was asked, as JSON. */
export const echo: RequestListener = async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('latin1'),
    }),
  );
};

export interface Echoed {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** What the promise is rejected with. */
export async function rejection<E>(promise: PromiseLike<unknown>): Promise<E> {
  try {
    await promise;
  } catch (error) {
    return error as E;
  }
  throw new Error('It was to be rejected');
}
