import type { EventEmitter } from 'node:events';
import type { buildConnector, Dispatcher as DispatcherType, Pool as PoolType } from 'undici';
import { makeHttp2Pool } from './http2-pool.ts';
import { type HttpContext, type InnerClient, passOver } from './inner-client.ts';
import {
  Dispatcher,
  type InnerPool,
  kConnected,
  kHTTP2Session,
  kHTTPContext,
  kPendingIdx,
  kQueue,
  kSize,
  Pool,
} from './undici.ts';

interface AgentOptions extends PoolType.Options {
  connect: buildConnector.connector;
}

/** How many streams an HTTP/2 connection has at once; the next one gets another connection. Servers allow 100, mostly. */
const STREAMS = 100;

/**
 * The pools of a session, one per origin: in the place of undici's Agent, and with some differences to its pools.
 *
 * - undici's Agent closes a pool when its last connection is lost, whatever is under way there, and the connections of a pool
 *   that was closed so count as those of the next one: once two requests crossed in this way, each one after them had a
 *   connection of its own. A pool that has nothing to do and no connection is closed here.
 * - undici 7 keeps an aborted HTTP/1.1 request in its queue until its client has a connection again: each cancel would make
 *   one more connection, for nobody. It tells of the loss of the old one before it makes the new one. (undici 8.12 mends it:
 *   https://github.com/nodejs/undici/issues/5845.)
 * - undici 7 sends one request at a time over an HTTP/2 connection, too, unless it is told to pipeline; and told so, it
 *   pipelines over HTTP/1.1 as well, where the cancel of one request is the end of those behind it.
 * - A burst of requests would make a connection for each before the first one is known to be HTTP/2: see http2-pool.ts.
 * - When an HTTP/2 connection is lost, it would send again what was under way on it, a POST as well. That fails instead; it
 *   is for `retry` to say what may be sent twice.
 * - To a server that says goodbye (nginx does, after 1,000 requests) it hangs up in the middle of the answers. Node's own
 *   session waits for them.
 */
export class Agent extends Dispatcher {
  private readonly options: AgentOptions;
  private readonly multiplexes: boolean;
  private readonly pools = new Map<string, InnerPool>();

  /** @param multiplexes whether HTTP/2 connections carry many requests at once. */
  constructor(options: AgentOptions, multiplexes: boolean) {
    super();
    this.options = options;
    this.multiplexes = multiplexes;
  }

  override dispatch(options: DispatcherType.DispatchOptions, handler: DispatcherType.DispatchHandler): boolean {
    const origin = options.origin as string;
    return (this.pools.get(origin) ?? this.open(origin)).dispatch(options, handler);
  }

  override async destroy(): Promise<void> {
    const pools = [...this.pools.values()];
    this.pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  private open(origin: string): InnerPool {
    const { options, multiplexes } = this;
    const pool = multiplexes && options.allowH2 ? makeHttp2Pool(origin, options) : new Pool(origin, options);
    this.pools.set(origin, pool);
    const closeUnused = () => {
      if (pool[kConnected] > 0 || pool[kSize] > 0 || this.pools.get(origin) !== pool) return;
      this.pools.delete(origin);
      pool.close();
    };
    pool.on('connect', (_origin, targets) => {
      const client = targets.at(-1) as InnerClient;
      const isHttp2 = client[kHTTPContext]?.version === 'h2';
      client.pipelining = isHttp2 && multiplexes ? STREAMS : 1;
      if (isHttp2) waitAtGoodbye(client);
    });
    pool.on('disconnect', (_origin, targets, error) => {
      failStarted(targets.at(-1) as InnerClient, error);
      closeUnused();
    });
    pool.on('connectionError', closeUnused);
    return pool;
  }
}

function failStarted(client: InnerClient, error: Error): void {
  const queue = client[kQueue] ?? [];
  for (let request = queue[client[kPendingIdx]]; request?.abort; request = queue[client[kPendingIdx]]) {
    queue.splice(client[kPendingIdx], 1);
    if (!request.aborted) request.onError(error);
  }
}

const NO_ERROR = 0;

function waitAtGoodbye(client: InnerClient): void {
  const context = client[kHTTPContext] as HttpContext;
  const session = client[kHTTP2Session] as EventEmitter;
  const listeners = session.listeners('goaway') as ((...args: unknown[]) => void)[];
  session.removeAllListeners('goaway');
  session.on('goaway', (code: number, ...rest: unknown[]) => {
    if (code === NO_ERROR) takeNothingNew(client, context);
    else for (const listener of listeners) listener.call(session, code, ...rest);
  });
}

/** Until it has another connection. */
function takeNothingNew(client: InnerClient, context: HttpContext): void {
  context.busy = () => true;
  passOver(client);
}
