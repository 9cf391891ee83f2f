import type { EventEmitter } from 'node:events';
import type { Agent as AgentType } from 'undici';
import { Agent, kHTTP2Session, kHTTPContext, kNeedDrain, kPendingIdx, kPoolNeedsDrain, kQueue } from './undici.ts';

/** What of undici's Client and its requests is needed here. */
interface Client {
  readonly [kHTTPContext]: Context | null | undefined;
  readonly [kHTTP2Session]: EventEmitter | null | undefined;
  readonly [kQueue]: (QueuedRequest | null)[] | undefined;
  readonly [kPendingIdx]: number;
  pipelining: number;
  /** 2: busy, and to tell when it is not any more. */
  [kNeedDrain]: number;
  /** What its pool has seen of that. */
  [kPoolNeedsDrain]: boolean;
}

interface Context {
  readonly version: string;
  busy(request: unknown): boolean;
}

interface QueuedRequest {
  readonly aborted: boolean;
  /** `null` until it is sent. */
  readonly abort: unknown;
  onError(error: Error): void;
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
 * - When an HTTP/2 connection is lost, it would send again what was under way on it, a POST as well. That fails instead; it
 *   is for `retry` to say what may be sent twice.
 * - To a server that says goodbye (nginx does, after 1,000 requests) it hangs up in the middle of the answers. Node's own
 *   session waits for them.
 *
 * @param multiplexes whether HTTP/2 connections carry many requests at once.
 */
export function makeAgent(options: AgentType.Options, multiplexes: boolean): AgentType {
  const agent = new Agent(options);
  agent.on('disconnect', (_origin, targets, error) => failStarted(targets.at(-1) as unknown as Client, error));
  agent.on('connect', (_origin, targets) => {
    const client = targets.at(-1) as unknown as Client;
    const isHttp2 = client[kHTTPContext]?.version === 'h2';
    client.pipelining = isHttp2 && multiplexes ? STREAMS : 1;
    if (isHttp2) waitAtGoodbye(client);
  });
  return agent;
}

function failStarted(client: Client, error: Error): void {
  const queue = client[kQueue] ?? [];
  for (let request = queue[client[kPendingIdx]]; request?.abort; request = queue[client[kPendingIdx]]) {
    queue.splice(client[kPendingIdx], 1);
    if (!request.aborted) request.onError(error);
  }
}

const NO_ERROR = 0;

function waitAtGoodbye(client: Client): void {
  const context = client[kHTTPContext] as Context;
  const session = client[kHTTP2Session] as EventEmitter;
  const listeners = session.listeners('goaway') as ((...args: unknown[]) => void)[];
  session.removeAllListeners('goaway');
  session.on('goaway', (code: number, ...rest: unknown[]) => {
    if (code === NO_ERROR) takeNothingNew(client, context);
    else for (const listener of listeners) listener.call(session, code, ...rest);
  });
}

/** Until it has another connection. */
function takeNothingNew(client: Client, context: Context): void {
  context.busy = () => true;
  client[kNeedDrain] = 2;
  client[kPoolNeedsDrain] = true;
}
