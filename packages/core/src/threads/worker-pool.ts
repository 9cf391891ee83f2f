import { trackIO } from '../activity.ts';
import { checkInteger, checkMs, checkOptions } from '../check.ts';
import { detached } from '../detached.ts';
import { InvalidStateError } from '../errors.ts';
import type { Future } from '../future.ts';
import { gather } from '../gather.ts';
import { getRunningLoop } from '../loop.ts';
import { until } from '../until.ts';
import { append, forEachIn, remove } from '../waiter.ts';
import type { Executor } from './executor.ts';
import { IMPORTING } from './importing.ts';
import { callOf, Job } from './job.ts';
import { type Link, type LinkListener, PoolWorker } from './pool-worker.ts';
import type { WorkerFn } from './worker-fn.ts';

export interface WorkerPoolOptions {
  /** How many workers there are at most, those that are ending included. They start when they are needed. */
  maxWorkers?: number | undefined;
  /** After how many ms without work a worker ends. Default: 10,000. It keeps the process alive only while it works. */
  idleTimeout?: number | undefined;
  /** For reports. */
  name?: string | undefined;
  /** Node's own options for the workers, `['--conditions=development']` say. Default: those of this process. */
  execArgv?: string[] | undefined;
  /** The workers' environment. Default: a copy of this process's. */
  env?: NodeJS.ProcessEnv | undefined;
}

/** What `statistics()` of an executor tells. */
export interface ExecutorStatistics {
  /** How many jobs wait for a worker. */
  readonly queued: number;
  /** How many jobs run. */
  readonly running: number;
  /** How many workers have started and have no job. */
  readonly idle: number;
  /** How many workers there are, those that start or end included. Never more than `maxWorkers`. */
  readonly workers: number;
}

export interface ShutdownOptions {
  /** Whether to wait until the last worker has ended. Default: true. */
  wait?: boolean | undefined;
  /** Whether to cancel what is queued and what runs, instead of letting it end. Default: false. */
  cancel?: boolean | undefined;
}

const IDLE_TIMEOUT = 10_000;

/** What the executors share: a line of jobs, first come, first served, and workers that come and go. */
export abstract class WorkerPool implements Executor, AsyncDisposable {
  /** What a worker is. */
  abstract readonly kind: 'thread' | 'process';
  readonly name: string;
  readonly maxWorkers: number;
  private readonly idleTimeout: number;
  private readonly workers = new Set<PoolWorker>();
  /** Last in, first out: under little load the others end. */
  private readonly idle: PoolWorker[] = [];
  private queue: Job<unknown> | null = null;
  private queued = 0;
  private isShutDown = false;
  private readonly allEnded = Promise.withResolvers<void>();

  constructor(options: WorkerPoolOptions, defaults: { name: string; maxWorkers: number }) {
    checkOptions(options, 'options');
    const { maxWorkers = defaults.maxWorkers, idleTimeout = IDLE_TIMEOUT, name = defaults.name } = options;
    checkInteger(maxWorkers, 'options.maxWorkers', 1);
    checkMs(idleTimeout, 'options.idleTimeout');
    this.maxWorkers = maxWorkers;
    this.idleTimeout = Math.min(idleTimeout, 2 ** 31 - 1);
    this.name = name;
  }

  /** Starts a thread or a process. */
  protected abstract open(listener: LinkListener, name: string): Link;

  /**
   * Runs `fn(...args)` in a worker, as soon as one is free.
   *
   * A cancel of the Future takes a job that waits out of the line; of one that runs it ends the worker, in the middle of a
   * busy loop if need be, and is delivered when the worker has really ended. What the function had not written down by then
   * is lost, its `finally` blocks do not run. If it was done before, its value is delivered and the cancel stays pending.
   *
   * @param fn a {@link workerFn}, or a self-contained function: its source text is sent, so it sees only its arguments,
   * globals and what it imports itself (relative to core: for anything but Node's own modules take `workerFn`).
   * @param args what can be sent by structured clone; see {@link transfer} to move instead of copy.
   * @returns what `fn` returns, awaited there. What it throws keeps name, message, stack, code, cause and `errors`; of its
   * class if that is one of core or of the language, else an Error.
   * @throws `TypeError` if `fn` is neither; {@link InvalidStateError} after `shutdown()`. The Future fails with a `TypeError`
   * if an argument or the result cannot be sent, and with a {@link WorkerDiedError} if the worker ends in the middle.
   *
   * @see https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Executor.submit
   */
  submit<A extends unknown[], R>(
    fn: ((...args: A) => R) | WorkerFn<(...args: A) => R>,
    ...args: A
  ): Future<Awaited<R>> {
    this.requireOpen();
    const job = new Job<Awaited<R>>(callOf(fn as WorkerFn<unknown>, args), this.kind, this);
    this.queue = append(this.queue, job as Job<unknown>);
    this.queued++;
    this.feed();
    return job;
  }

  /**
   * Runs `fn(item)` for every item, at most `maxWorkers` at once, and gives the results in the order of the items, which are
   * pulled as workers come free. The first failure starts no more, cancels those that run and is thrown; so does a cancel.
   *
   * @example
   * ```ts
   * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
   * const squares = await pool.map((n: number) => n * n, [1, 2, 3]);
   * console.log(squares); // => [ 1, 4, 9 ]
   * ```
   *
   * @see https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Executor.map
   */
  map<T, R>(
    fn: ((item: T) => R) | WorkerFn<(item: T) => R>,
    items: Iterable<T> | AsyncIterable<T>,
  ): Future<Awaited<R>[]> {
    this.requireOpen();
    callOf(fn as WorkerFn<unknown>, []);
    const submitEach = async function* (pool: WorkerPool) {
      for await (const item of items) yield () => pool.submit(fn, item);
    };
    return gather(submitEach(this), { limit: this.maxWorkers }) as Future<Awaited<R>[]>;
  }

  /**
   * Takes no more jobs and ends the workers when those that were submitted are done, or, with `cancel`, at once.
   * A cancel of the wait abandons only the wait. May be called again.
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    checkOptions(options, 'options');
    const { wait = true, cancel = false } = options;
    this.isShutDown = true;
    if (cancel) this.cancelAll();
    this.feed();
    if (!wait) return Promise.resolve();
    const operation = trackIO(this.kind, { label: `${this.name}.shutdown` });
    const ended = until(this.allEnded.promise);
    void this.allEnded.promise.then(() => operation.end());
    return ended;
  }

  /** `await using`: waits for what was submitted, as leaving `with` does in Python. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  statistics(): ExecutorStatistics {
    return Object.freeze({
      queued: this.queued,
      running: this.count('running'),
      idle: this.count('idle'),
      workers: this.workers.size,
    });
  }

  /** @internal A job was cancelled. */
  stop(job: Job<unknown>): void {
    for (const worker of this.workers) if (worker.runs(job)) return worker.kill();
    this.leave(job);
    job.setCancelled();
    this.feed();
  }

  /** @internal */
  workerIsFree(worker: PoolWorker): void {
    worker.rest();
    this.idle.push(worker);
    this.feed();
  }

  /** @internal */
  workerHasEnded(worker: PoolWorker, startFailure: Error | null): void {
    this.workers.delete(worker);
    const place = this.idle.indexOf(worker);
    if (place >= 0) this.idle.splice(place, 1);
    if (startFailure !== null) this.shift()?.fail(startFailure);
    this.feed();
  }

  /** @internal */
  workerFailedIdle(error: Error): void {
    getRunningLoop().callExceptionHandler({
      message: `Something left behind by an earlier job of ${this.name}`,
      exception: error,
    });
  }

  /** Hands jobs to free workers, starts workers that are missing, ends those that nobody needs any more. */
  private feed(): void {
    for (let worker = this.nextFree(); worker !== undefined; worker = this.nextFree()) this.give(worker);
    while (this.count('starting') < this.queued && this.workers.size < this.maxWorkers) this.hire();
    if (!this.isShutDown || this.queued > 0) return;
    for (const worker of this.workers) worker.dismiss(true);
    this.idle.length = 0;
    if (this.workers.size === 0) this.allEnded.resolve();
  }

  private nextFree(): PoolWorker | undefined {
    if (this.queue === null) return undefined;
    let worker = this.idle.pop();
    while (worker !== undefined && worker.state !== 'idle') worker = this.idle.pop(); // It ends: too long without work.
    return worker;
  }

  private give(worker: PoolWorker): void {
    const job = this.shift() as Job<unknown>;
    try {
      worker.run(job);
    } catch (error) {
      this.idle.push(worker);
      job.fail(cannotBeSent(job, error as Error));
    }
  }

  private hire(): void {
    const name = `${this.name}-${this.workers.size + 1}`;
    try {
      // It outlives the task that happens to need it first.
      this.workers.add(detached(() => new PoolWorker(this, (listener) => this.open(listener, name), this.idleTimeout)));
    } catch (error) {
      this.shift()?.fail(error as Error);
    }
  }

  private cancelAll(): void {
    forEachIn(this.queue, (job) => void job.cancel(`${this.name} is shut down`));
    for (const worker of this.workers) worker.cancelJob(`${this.name} is shut down`);
  }

  private shift(): Job<unknown> | null {
    const job = this.queue;
    if (job !== null) this.leave(job);
    return job;
  }

  private leave(job: Job<unknown>): void {
    this.queue = remove(this.queue, job);
    this.queued--;
  }

  private count(state: PoolWorker['state']): number {
    let sum = 0;
    for (const worker of this.workers) if (worker.state === state) sum++;
    return sum;
  }

  private requireOpen(): void {
    if (this.isShutDown) throw new InvalidStateError(`${this.name} is shut down: it takes no more jobs`);
    const importing = (globalThis as { [IMPORTING]?: string })[IMPORTING];
    if (importing === undefined) return;
    throw new InvalidStateError(
      `A job was submitted while a worker imports ${importing}, for a function of it: the module's top level runs in every ` +
        'worker, too. Guard what starts the program by `if (import.meta.main)` (Node 24) or `if (isMainThread)`, or move ' +
        'the function to a module of its own',
    );
  }
}

function cannotBeSent(job: Job<unknown>, cause: Error): TypeError {
  const { args } = job.call;
  const place = args.findIndex((arg) => !canBeSent(arg));
  const which = place < 0 ? 'its arguments' : `args[${place}]`;
  return new TypeError(`${which} of ${job.label} cannot be sent to another thread or process: ${cause.message}`, {
    cause,
  });
}

function canBeSent(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
