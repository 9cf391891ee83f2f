import { type FetchApp, handlerOf } from './app.ts';
import type { ServeOptions } from './options.ts';
import { Server } from './server.ts';

/**
 * Serves an app: a hono app, or anything that answers a Request with a Response. Each request runs as a Task named
 * `GET /path`: when its client leaves it is cancelled, and with it everything it waits for.
 *
 * That is on by default for GET and HEAD. For methods that change something `cancelOnDisconnect` turns it on; what must
 * finish then goes into `shield` or `protect`, and what shall outlive its response into {@link background}.
 *
 * @param app a function `(Request) => Response`, or an object with such a function as `fetch`.
 * @returns the server, when it listens.
 * @throws an error with the code `EADDRINUSE` and advice, if the port is taken.
 *
 * @example
 * ```ts
 * const app = new Hono();
 * app.get('/report', async (c) => c.json(await pool.query('select …'))); // stops on the server when the client leaves
 *
 * await using server = await serve(app, { port: 8000 });
 * await server.untilClosed();
 * ```
 */
export async function serve(app: FetchApp, options: ServeOptions = {}): Promise<Server> {
  const server = new Server(handlerOf(app), options);
  await server._listen();
  return server;
}
