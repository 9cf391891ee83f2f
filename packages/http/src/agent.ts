import type { Agent as AgentType } from 'undici';
import { Agent, kHTTPContext, kPendingIdx, kQueue } from './undici.ts';

/** What of undici's Client is needed here. */
interface Client {
  readonly [kHTTPContext]: { readonly version: string } | null | undefined;
  readonly [kQueue]: { aborted: boolean }[] | undefined;
  readonly [kPendingIdx]: number;
  pipelining: number;
}

/** How many streams an HTTP/2 connection has at once; the next one gets another connection. Servers allow 100, mostly. */
const STREAMS = 100;

/**
 * undici's Agent, with two differences.
 *
 * - undici 7 keeps an aborted HTTP/1.1 request in its queue until its client has a connection again: each cancel would make
 *   one more connection, for nobody. It tells of the loss of the old one before it makes the new one. (undici 8.12 mends it:
 *   https://github.com/nodejs/undici/issues/5845.)
 * - undici 7 sends one request at a time over an HTTP/2 connection, too, unless it is told to pipeline; and told so, it
 *   pipelines over HTTP/1.1 as well, where the cancel of one request is the end of those behind it.
 *
 * @param multiplexes whether HTTP/2 connections carry many requests at once.
 */
export function makeAgent(options: AgentType.Options, multiplexes: boolean): AgentType {
  const agent = new Agent(options);
  agent.on('disconnect', (_origin, targets) => dropAborted(targets.at(-1) as unknown as Client));
  if (multiplexes) {
    agent.on('connect', (_origin, targets) => {
      const client = targets.at(-1) as unknown as Client;
      client.pipelining = client[kHTTPContext]?.version === 'h2' ? STREAMS : 1;
    });
  }
  return agent;
}

function dropAborted(client: Client): void {
  const queue = client[kQueue];
  while (queue?.[client[kPendingIdx]]?.aborted) queue.splice(client[kPendingIdx], 1);
}
