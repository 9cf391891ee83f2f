/** Several processes behind one port: what uvicorn's `--workers` and `--reload` are. */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';

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
 * replaces all of them one by one, SIGTERM and SIGINT let each finish what it has accepted.
 */
export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly workers = new Set<Worker>();
  private stopping = false;
  private restarting: Promise<void> = Promise.resolve();

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  /** Resolves when all workers have ended, after a signal. */
  async run(): Promise<void> {
    const stop = (signal: NodeJS.Signals) => this.stop(signal);
    const restart = () => this.restart('SIGHUP');
    process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', restart);
    for (let i = 0; i < this.options.workers; i++) this.start();
    while (this.workers.size > 0 || !this.stopping) await once(cluster, 'exit');
    process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', restart);
  }

  /** Replaces the workers one by one: each leaves when its successor listens. Nobody is refused meanwhile. */
  restart(why: string): void {
    this.options.log(`restarting all workers: ${why}`);
    const replaceAll = async () => {
      for (const old of [...this.workers]) {
        if (this.stopping || !this.workers.has(old)) continue;
        if (await this.isListening(this.start())) this.retire(old);
        else this.options.log(`worker ${old.process.pid} stays: its successor does not start`);
      }
    };
    this.restarting = this.restarting.then(replaceAll);
  }

  private start(): Worker {
    const worker = cluster.fork();
    const { pid } = worker.process;
    const born = performance.now();
    this.workers.add(worker);
    worker.once('listening', ({ address, port }) => this.options.log(`worker ${pid} listens on ${address}:${port}`));
    worker.once('exit', (code, signal) => this.ended(worker, performance.now() - born, signal ?? code));
    return worker;
  }

  private ended(worker: Worker, age: number, how: string | number): void {
    const wasWanted = this.workers.delete(worker) && !this.stopping && !worker.exitedAfterDisconnect;
    this.options.log(`worker ${worker.process.pid} ended (${how})${wasWanted ? ': starting another one' : ''}`);
    if (!wasWanted) return;
    // A program that cannot start is to say so once a second, not a thousand times.
    setTimeout(
      () => {
        if (!this.stopping && this.workers.size < this.options.workers) this.start();
      },
      age < SHORT_LIFE ? SHORT_LIFE : 0,
    );
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

  private stop(signal: NodeJS.Signals): void {
    if (this.stopping) {
      for (const worker of this.workers) worker.process.kill('SIGKILL');
      process.exit(1);
    }
    this.stopping = true;
    this.options.log(`${signal}: waiting for ${this.workers.size} worker(s)`);
    for (const worker of this.workers) this.finish(worker);
  }
}
