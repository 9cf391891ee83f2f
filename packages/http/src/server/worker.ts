/** A process that a {@link Supervisor} has started: how it learns that it is to end, and what it does then. */
import cluster from 'node:cluster';

export const CLOSING = 'aiokit: the server is about to close';

/** A signal to all processes (Ctrl-C, systemd) has come to each of them by then, in ms. */
const SIGNAL_GRACE = 100;

/** Calls `listener` when the supervisor is about to stop it. */
export function onStopAnnounced(listener: () => void): void {
  if (cluster.worker === undefined) return;
  const onMessage = (message: unknown) => {
    if (message !== CLOSING) return;
    process.off('message', onMessage);
    listener();
  };
  process.on('message', onMessage);
}

/** Whether node:cluster has told it to end, and closes its servers. */
export function isToldToEnd(): boolean {
  return cluster.worker?.exitedAfterDisconnect === true;
}

/** What cannot be told to a first process that has gone is no error: node:cluster ends this one for that. */
export function outliveFirstProcess(): void {
  cluster.worker?.on('error', () => {});
}

/** How the program of a worker handles SIGTERM. */
export interface SignalState {
  /** Whether anybody has listened for it when the server began. */
  readonly wasHandled: boolean;
  /** Whether it has come. */
  hasCome(): boolean;
}

/**
 * Does in a worker what SIGTERM does in a single process, so that what else the program has is closed, too; or nothing but
 * `close`, if the signal has come already: a second one would end the process at once.
 */
export async function endAsBySignal(close: () => Promise<void>, state: SignalState): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SIGNAL_GRACE));
  const isHandled = process.listenerCount('SIGTERM') > 0;
  // Not sent, since it would come while `close` is under way already.
  if (isHandled && !state.hasCome()) process.emit('SIGTERM', 'SIGTERM');
  await close();
  if (!isHandled && !state.wasHandled) process.kill(process.pid, 'SIGTERM');
}
