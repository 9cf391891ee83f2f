import type { Dispatcher } from 'undici';
import { kPendingIdx, kQueue } from './undici.ts';

/** What of undici's Client is needed here. */
interface Client {
  [kQueue]: { aborted: boolean }[] | undefined;
  [kPendingIdx]: number;
}

/**
 * undici 7 keeps an aborted HTTP/1.1 request in its queue until its client has a connection again: each cancel would make
 * one more connection, for nobody. It tells of the loss of the old one before it makes the new one.
 *
 * @see https://github.com/nodejs/undici/issues/5845 (mended in undici 8.12)
 */
export function dropAbortedRequests(dispatcher: Dispatcher): void {
  dispatcher.on('disconnect', (_origin, targets) => {
    const client = targets.at(-1) as unknown as Client;
    const queue = client[kQueue];
    while (queue?.[client[kPendingIdx]]?.aborted) queue.splice(client[kPendingIdx], 1);
  });
}
