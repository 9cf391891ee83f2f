/**
 * The connections that are on their way to a worker. node:cluster hands a worker one at a time and waits for its answer; it
 * forgets the one whose worker dies before that, and leaves it open: the client would wait for ever.
 */
import type { Worker } from 'node:cluster';

/** Node's own object of a TCP connection or a pipe. Closing it twice does nothing. */
interface Connection {
  close(): void;
}

type Send = (message: unknown, handle?: Connection, ...rest: unknown[]) => boolean;

export class HandOver {
  private readonly latest = new Map<Worker, Connection>();

  /** Closes what is on its way to `worker` when that dies: the client learns of it, and may ask again. */
  watch(worker: Worker): void {
    const child = worker.process as unknown as { send: Send };
    const { send } = child;
    child.send = (message, handle, ...rest) => {
      // Other handles are shared by all workers.
      if ((message as { act?: string } | null)?.act === 'newconn' && handle) this.note(worker, handle);
      return send.call(child, message, handle, ...rest);
    };
    worker.once('exit', () => {
      this.latest.get(worker)?.close();
      this.latest.delete(worker);
    });
  }

  /** A worker that is about to end gives its connection back, and another one gets it. */
  private note(worker: Worker, connection: Connection): void {
    for (const [other, its] of this.latest) if (its === connection) this.latest.delete(other);
    this.latest.set(worker, connection);
  }
}
