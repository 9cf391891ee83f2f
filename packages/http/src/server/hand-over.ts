/**
 * The connections that are on their way to a worker. node:cluster hands a worker one at a time and waits for its answer; it
 * forgets the one whose worker dies before that, and leaves it open: the client would wait for ever.
 */
import type { Worker } from 'node:cluster';
import type { EventEmitter } from 'node:events';

/** Node's own object of a TCP connection or a pipe. */
interface Connection {
  close(): void;
}

/** What node:cluster sends to a worker, and its answer, which names the message by its number. */
interface Message {
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

interface Sender extends EventEmitter {
  send(message: Message | null, handle?: Connection, ...rest: unknown[]): boolean;
}

/** Closes what is on its way to `worker` when that dies: the client learns of it, and may ask again. */
export function watchHandOver(worker: Worker): void {
  const child = worker.process as unknown as Sender;
  const { send } = child;
  let under: number | undefined;
  let connection: Connection | null = null;
  child.send = (message, handle, ...rest) => {
    // Other handles are shared by all workers.
    if (message?.act === 'newconn' && handle) {
      under = message.seq;
      connection = handle;
    }
    return send.call(child, message, handle, ...rest);
  };
  // Taken, or given back because the worker is about to end: then it waits for another one.
  child.on('internalMessage', ({ ack }: Message) => {
    if (ack === under) connection = null;
  });
  worker.once('exit', () => connection?.close());
}
