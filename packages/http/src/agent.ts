import type { EventEmitter } from 'node:events';
import type { Agent as AgentType, buildConnector } from 'undici';
import { makeHttp2Pool } from './http2-pool.ts';
import { type HttpContext, type InnerClient, passOver } from './inner-client.ts';
import { Agent, kHTTP2Session, kHTTPContext, kPendingIdx, kQueue } from './undici.ts';

interface AgentOptions extends AgentType.Options {
  connect: buildConnector.connector;
}

/** How many streams an HTTP/2 connection has at once; the next one gets another connection. Servers allow 100, mostly. */
const STREAMS = 100;

/**
 * undici's Agent, with some differences.
 *
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
 *
 * @param multiplexes whether HTTP/2 connections carry many requests at once.
 */
export function makeAgent(options: AgentOptions, multiplexes: boolean): AgentType {
  const agent = new Agent(multiplexes && options.allowH2 ? { ...options, factory: makeHttp2Pool as never } : options);
  agent.on('disconnect', (_origin, targets, error) => failStarted(targets.at(-1) as InnerClient, error));
  agent.on('connect', (_origin, targets) => {
    const client = targets.at(-1) as InnerClient;
    const isHttp2 = client[kHTTPContext]?.version === 'h2';
    client.pipelining = isHttp2 && multiplexes ? STREAMS : 1;
    if (isHttp2) waitAtGoodbye(client);
  });
  return agent;
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
