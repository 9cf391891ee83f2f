/** Several processes behind one port: what uvicorn's `--workers` and `--reload` are. */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { watchHandOver } from './hand-over.ts';

export interface SupervisorOptions {
  /** How many processes. */
  readonly workers: number;
  /** Told of every event, in one line. */
  readonly log: (line: string) => void;
}

/** A worker that dies sooner than this, in ms, would die again at once. */
const SHORT_LIFE = 1_000;

/**
 * Keeps `workers` copies of this program running (`cluster.isWorker` is true in them): one that dies is replaced, SIGHUP
 * replaces all of them one by one.
 */
export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly workers = new Set<Worker>();
  private started = 0;
  private stopping = false;
  private restarting: Promise<void> = Promise.resolve();
  /** Set until the first of them listens. */
  private failStart: ((error: Error) => void) | null = null;

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  /**
   * Resolves to where the first of them listens. Rejects if all end before that: a program that cannot start is not to be
   * started again and again.
   */
  async start(): Promise<{ address: string; port: number }> {
    process.on('SIGHUP', this.onHangUp);
    const listening = once(cluster, 'listening').then(([, where]) => where);
    const failed = new Promise<never>((_, reject) => {
      this.failStart = reject;
    });
    this.fill();
    return await Promise.race([listening, failed]);
  }

  statistics(): { workers: number; started: number } {
    return { workers: this.workers.size, started: this.started };
  }

  /** Replaces the workers one by one: each leaves when its successor listens. Nobody is refused meanwhile. */
  restart(why: string): void {
    this.options.log(`restarting all workers: ${why}`);
    const replaceAll = async () => {
      for (const old of [...this.workers]) {
        if (this.stopping || !this.workers.has(old)) continue;
        if (await this.isListening(this.fork())) this.retire(old);
        else if (!this.stopping) this.options.log(`worker ${old.process.pid} stays: its successor does not start`);
      }
      this.fill();
    };
    this.restarting = this.restarting.then(replaceAll);
  }

  /** Tells all workers that they are about to be stopped: health checks go red. */
  announceStop(): void {
    for (const worker of this.workers) worker.send(CLOSING);
  }

  /** Lets each finish what it has accepted. Resolves when all have ended, those of an earlier restart included. */
  async stop(why: string): Promise<void> {
    process.off('SIGHUP', this.onHangUp);
    this.stopping = true;
    this.options.log(`${why}: waiting for ${this.workers.size} worker(s)`);
    for (const worker of this.workers) this.finish(worker);
    while (Object.keys(cluster.workers ?? {}).length > 0) await once(cluster, 'exit');
  }

  /** Waits for nobody. */
  kill(): void {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
  }

  private readonly onHangUp = (): void => this.restart('SIGHUP');

  /** Those that have not started before may do so now. */
  private fill(): void {
    while (!this.stopping && this.workers.size < this.options.workers) this.fork();
  }

  private fork(): Worker {
    const worker = cluster.fork();
    const { pid } = worker.process;
    const born = performance.now();
    this.started++;
    this.workers.add(worker);
    watchHandOver(worker);
    worker.on('error', () => {}); // What could not be told to one that is ending: its exit is what counts.
    worker.once('listening', ({ address, port }) => {
      this.failStart = null;
      this.options.log(`worker ${pid} listens on ${address}:${port}`);
    });
    worker.once('exit', (code, signal) => this.ended(worker, performance.now() - born, signal ?? code));
    return worker;
  }

  private ended(worker: Worker, age: number, how: string | number): void {
    const isWanted = this.failStart === null && !this.stopping && !worker.exitedAfterDisconnect;
    const wasWanted = this.workers.delete(worker) && isWanted;
    this.options.log(`worker ${worker.process.pid} ended (${how})${wasWanted ? ': starting another one' : ''}`);
    if (this.workers.size === 0)
      this.failStart?.(new Error('No worker has started: each has said why before it ended'));
    if (!wasWanted) return;
    // A program that cannot start is to say so once a second, not a thousand times.
    setTimeout(() => this.fill(), age < SHORT_LIFE ? SHORT_LIFE : 0);
  }

  private async isListening(worker: Worker): Promise<boolean> {
    const aborted = new AbortController();
    const { signal } = aborted;
    const listening = once(worker, 'listening', { signal }).then(() => true);
    const ended = once(worker, 'exit', { signal }).then(() => false);
    try {
      return await Promise.race([listening, ended]);
    } finally {
      aborted.abort();
      await Promise.allSettled([listening, ended]);
    }
  }

  private retire(worker: Worker): void {
    this.workers.delete(worker);
    this.finish(worker);
  }

  /**
   * Out of the line first, then SIGTERM: a connection that is handed to a worker while it exits is lost in node:cluster, and
   * its client waits for ever. `disconnect` gives such a connection back to be handed to another worker.
   */
  private finish(worker: Worker): void {
    worker.once('disconnect', () => worker.process.kill('SIGTERM'));
    if (worker.isConnected()) worker.disconnect();
    else worker.process.kill('SIGTERM');
  }
}

const CLOSING = 'aiokit: the server is about to close';

/** In a worker: calls `listener` when the supervisor is about to stop it. */
export function onStopAnnounced(listener: () => void): void {
  if (cluster.worker === undefined) return;
  const onMessage = (message: unknown) => {
    if (message !== CLOSING) return;
    process.off('message', onMessage);
    listener();
  };
  process.on('message', onMessage);
}
