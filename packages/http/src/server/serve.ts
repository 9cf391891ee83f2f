import cluster from 'node:cluster';
import { type FetchApp, handlerOf } from './app.ts';
import { checkServeOptions } from './check-options.ts';
import type { ServeOptions, WorkersOptions } from './options.ts';
import { Server } from './server.ts';
import { removeStaleSocket } from './stale-socket.ts';
import { onStopAnnounced, outliveFirstProcess } from './worker.ts';
import { WorkerProcesses } from './worker-processes.ts';

/** A server, in this process or in several. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** Whether it is about to close: what a health check should be red for. */
  readonly closing: boolean;
  /** Waits until it has closed. */
  untilClosed(): Promise<void>;
  /** Stops gracefully. */
  close(): Promise<void>;
}

/**
 * Serves an app: a hono app, or anything that answers a Request with a Response. Each request runs as a Task named
 * `GET /path`: when its client leaves it is cancelled, and with it everything it waits for.
 *
 * That is on by default for GET and HEAD. For methods that change something `cancelOnDisconnect` turns it on; what must
 * finish then goes into `shield` or `protect`, and what shall outlive its response into {@link background}.
 *
 * With `workers` the program is run again in that many processes, and each of them serves; in the first one `serve` only looks
 * after them: one that dies is replaced, SIGHUP replaces them one by one, SIGTERM and SIGINT let each finish.
 *
 * @param app a function `(Request) => Response`, or an object with such a function as `fetch`.
 * @returns the server, when it listens; with `workers`, when the first of them does.
 * @throws an error with the code `EADDRINUSE` and advice, if the port is taken; an error, if none of the `workers` starts;
 *   TypeError or RangeError for an option that cannot be.
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
export function serve(app: FetchApp, options: WorkersOptions): Promise<RunningServer>;
export function serve(app: FetchApp, options?: ServeOptions): Promise<Server>;
export async function serve(app: FetchApp, options: Partial<WorkersOptions> = {}): Promise<RunningServer> {
  const { workers = 1 } = options;
  if (!Number.isSafeInteger(workers) || workers < 1) {
    throw new RangeError(`workers must be a whole number of at least 1, got ${workers}`);
  }
  const handler = handlerOf(app);
  checkServeOptions(options);
  // Not in a worker: what the others have just made could be taken for stale.
  if (options.socketPath !== undefined && cluster.isPrimary) await removeStaleSocket(options.socketPath);
  if (workers > 1 && cluster.isPrimary) {
    const processes = new WorkerProcesses({ ...options, workers });
    await processes._start();
    return processes;
  }
  const server = new Server(handler, options);
  outliveFirstProcess();
  if (workers > 1) onStopAnnounced(() => server._announceClose());
  await server._listen().catch((error) => {
    // A worker that serves nobody must not be kept alive by its line to the first process.
    if (workers > 1) cluster.worker?.disconnect();
    throw error;
  });
  return server;
}
