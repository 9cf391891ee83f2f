/** Several processes behind one port: what uvicorn's `--workers` and `--reload` are. */
import cluster, { type Address, type Worker } from 'node:cluster';
import { once } from 'node:events';
import { LONGEST_TIMER } from './check-options.ts';
import { watchHandOver } from './hand-over.ts';
import { CLOSING } from './worker.ts';

export interface SupervisorOptions {
  /** How many processes. */
  readonly workers: number;
  /** How long a worker that was told to end may take for it, in ms; then it is killed. */
  readonly patience: number;
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
  /** Those that serve, or are about to. */
  private readonly workers = new Set<Worker>();
  /** All whose process has not ended. `cluster.workers` forgets those that were told to end. */
  private readonly living = new Set<Worker>();
  private readonly listening = new WeakSet<Worker>();
  private readonly firstListens = Promise.withResolvers<Address>();
  private hasStarted = false;
  private started = 0;
  private stopping = false;
  /** How often it was told to restart: a later restart takes the place of an earlier one. */
  private restarts = 0;
  private restarting: Promise<void> = Promise.resolve();
  /** The one that a restart waits for. */
  private successor: Worker | null = null;

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  /**
   * Resolves to where the first of them listens. Rejects if all end before that: a program that cannot start is not to be
   * started again and again.
   */
  start(): Promise<Address> {
    process.on('SIGHUP', this.onHangUp);
    this.fill();
    return this.firstListens.promise;
  }

  statistics(): { workers: number; started: number } {
    return { workers: this.workers.size, started: this.started };
  }

  /**
   * Replaces the workers one by one: each leaves when its successor listens. Nobody is refused meanwhile. A restart that is
   * under way is given up, with the successor it waits for.
   */
  restart(why: string): void {
    this.options.log(`restarting all workers: ${why}`);
    const number = ++this.restarts;
    this.successor?.process.kill('SIGKILL');
    this.restarting = this.restarting.then(() => this.replaceAll(() => this.stopping || this.restarts !== number));
  }

  /** Tells all workers that they are about to be stopped: health checks go red. */
  announceStop(): void {
    for (const worker of this.workers) worker.send(CLOSING);
  }

  /** Lets each finish what it has accepted. Resolves when all have ended, those of an earlier restart included. */
  async stop(why: string): Promise<void> {
    process.off('SIGHUP', this.onHangUp);
    this.stopping = true;
    this.firstListens.reject(new Error('Stopped before a worker has started'));
    this.options.log(`${why}: waiting for ${this.living.size} worker(s)`);
    for (const worker of this.workers) this.finish(worker);
    while (this.living.size > 0) await once(cluster, 'exit');
  }

  /** Waits for nobody. */
  kill(): void {
    for (const worker of this.living) worker.process.kill('SIGKILL');
  }

  private readonly onHangUp = (): void => this.restart('SIGHUP');

  private async replaceAll(isGivenUp: () => boolean): Promise<void> {
    for (const old of [...this.workers]) {
      if (isGivenUp()) return;
      if (!this.workers.has(old)) continue;
      this.successor = this.fork();
      const isReady = await this.isListening(this.successor);
      this.successor = null;
      if (isReady) this.retire(old);
      else if (!isGivenUp()) this.options.log(`worker ${old.process.pid} stays: its successor does not start`);
    }
    this.fill();
  }

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
    this.living.add(worker);
    watchHandOver(worker);
    worker.on('error', () => {}); // What could not be told to one that is ending: its exit is what counts.
    worker.once('listening', (where) => {
      this.hasStarted = true;
      this.listening.add(worker);
      this.options.log(`worker ${pid} listens on ${where.address}:${where.port}`);
      this.firstListens.resolve(where);
    });
    worker.once('exit', (code, signal) => this.ended(worker, performance.now() - born, signal ?? code));
    return worker;
  }

  private ended(worker: Worker, age: number, how: string | number): void {
    this.living.delete(worker);
    const wasWanted = this.workers.delete(worker) && worker !== this.successor && this.hasStarted && !this.stopping;
    this.options.log(`worker ${worker.process.pid} ended (${how})${wasWanted ? ': starting another one' : ''}`);
    if (this.workers.size === 0)
      this.firstListens.reject(new Error('No worker has started: each has said why before it ended'));
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
   * Out of the line first: a connection that is handed to a worker while it exits is lost in node:cluster, and its client
   * waits for ever. `disconnect` gives such a connection back to be handed to another worker, and has this one close its
   * server, which then does what SIGTERM would.
   */
  private finish(worker: Worker): void {
    const { pid } = worker.process;
    const { patience, log } = this.options;
    const timer = setTimeout(
      () => {
        log(`worker ${pid} has not ended in ${patience} ms: killed`);
        worker.process.kill('SIGKILL');
      },
      Math.min(patience, LONGEST_TIMER),
    );
    worker.once('exit', () => clearTimeout(timer));
    const terminate = () => worker.process.kill('SIGTERM');
    if (!worker.isConnected()) return void terminate();
    // One without a server has nothing to close.
    if (!this.listening.has(worker)) worker.once('disconnect', terminate);
    worker.disconnect();
  }
}
