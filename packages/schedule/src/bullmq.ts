/** `@aiokit/schedule/bullmq`: the same schedule on many machines, through Redis. */
import { detached } from '@aiokit/core';
import { type Job as BullJob, type ConnectionOptions, DelayedError, type KeepJobs, Queue, Worker } from 'bullmq';
import { checkCount, checkMs, checkOptions } from './check.ts';
import { ScheduleValueError } from './errors.ts';
import { BullmqBoard } from './fleet/bullmq-board.ts';
import { endsWithin } from './fleet/ends-within.ts';
import { type Backend, type Board, type Engine, idOf, MOST_SKEW, type Occurrence, type Take } from './fleet/engine.ts';
import { Leases } from './fleet/leases.ts';

export interface BullmqOptions {
  /** Where Redis is: what BullMQ takes. */
  connection: ConnectionOptions;
  /** The queue. Schedulers that share it are one fleet. Default: `'aiokit-schedule'`. */
  queue?: string | undefined;
  /** Of all keys. Default: BullMQ's, `'bull'`. */
  prefix?: string | undefined;
  /** How many runs at once on this instance, the ones that wait in line included. Default: 100. */
  concurrency?: number | undefined;
  /** After how many ms without a sign of life the run of a dead instance is given to another. Default: 30,000. */
  lockDuration?: number | undefined;
  /** For how long finished occurrences are kept. Default: an hour longer than each job's grace. */
  removeOnComplete?: boolean | number | KeepJobs | undefined;
  /** The same of failed ones. Ours never fail, but nothing may remove them either. */
  removeOnFail?: boolean | number | KeepJobs | undefined;
}

/**
 * A backend on BullMQ (6 or newer, on Redis).
 *
 * @throws ScheduleValueError, here or at `do()`, for settings that remove finished occurrences too early.
 *
 * @example
 * ```ts
 * const scheduler = new Scheduler({ backend: bullmq({ connection: { port: 6379 } }), timeZone: 'UTC' });
 * scheduler.every().day.at('03:00').do(backup);
 * await scheduler.runForever(); // on every machine; each occurrence runs on one of them
 * ```
 *
 * @see https://docs.bullmq.io/
 */
export function bullmq(options: BullmqOptions): Backend {
  checkOptions(options, 'options', KNOWN);
  if (options?.connection === undefined)
    throw new TypeError('options.connection must be what BullMQ takes, got undefined');
  if (options.concurrency !== undefined) checkCount(options.concurrency, 'options.concurrency', 1);
  if (options.lockDuration !== undefined) checkMs(options.lockDuration, 'options.lockDuration', 1_000);
  const requireKept = (forMs: number) => {
    requireAge(options.removeOnComplete, 'removeOnComplete', forMs);
    requireAge(options.removeOnFail, 'removeOnFail', forMs);
  };
  requireKept(0);
  return { requireKept, connect: () => detached(() => new BullmqEngine(options)) };
}

const KNOWN = [
  'connection',
  'queue',
  'prefix',
  'concurrency',
  'lockDuration',
  'removeOnComplete',
  'removeOnFail',
] as const satisfies readonly (keyof BullmqOptions)[];

/** Seen: with finished jobs removed at once, 157 of 300 occurrences ran twice. */
function requireAge(setting: boolean | number | KeepJobs | undefined, name: string, forMs: number): void {
  if (setting === undefined || setting === false) return;
  const needed = Math.ceil((forMs + MOST_SKEW) / 1_000);
  const age = typeof setting === 'object' && 'age' in setting && setting.count === undefined ? setting.age : null;
  if (age !== null && age >= needed) return;
  throw new ScheduleValueError(
    `${name} must keep finished occurrences for the grace and a minute, { age: ${needed} } or more and no count, got ` +
      `${JSON.stringify(setting)}: an instance that is late would put one in again, and it would run twice`,
  );
}

/** How long connections may take to end in an orderly way, in ms. */
const CLOSE_WITHIN = 2_000;
const DISCONNECT_WITHIN = 200;

/** What BullMQ stores for us. */
type Data = Occurrence;

class BullmqEngine implements Engine {
  private readonly options: BullmqOptions;
  private readonly queue: Queue<Data>;
  private readonly lockDuration: number;
  private readonly leases: Leases;
  readonly board: Board;
  private worker: Worker<Data> | null = null;

  constructor(options: BullmqOptions) {
    this.options = options;
    this.lockDuration = options.lockDuration ?? 30_000;
    this.leases = new Leases(this.lockDuration);
    this.queue = new Queue(this.name, { connection: options.connection, ...this.prefix });
    this.board = new BullmqBoard(this.queue);
  }

  async open(take: Take, onError: (error: unknown) => void): Promise<void> {
    const { connection, concurrency = 100 } = this.options;
    this.queue.on('error', onError);
    await this.queue.waitUntilReady();
    const worker = detached(
      () =>
        new Worker<Data>(this.name, (job, token) => this.handOut(job, token, take), {
          connection,
          ...this.prefix,
          concurrency,
          lockDuration: this.lockDuration,
          stalledInterval: this.lockDuration,
          // An occurrence runs at least once, however many instances die of it or beside it.
          maxStalledCount: 1_000,
        }),
    );
    worker.on('error', onError);
    worker.on('lockRenewalFailed', (ids) => {
      for (const id of ids) this.leases.lose(id);
    });
    worker.on('locksRenewed', ({ jobIds }) => {
      for (const id of jobIds) this.leases.renewed(id);
    });
    this.worker = worker;
    await worker.waitUntilReady();
  }

  async enqueue(occurrences: readonly Occurrence[], keepFor: number): Promise<void> {
    const age = Math.ceil(keepFor / 1_000) + 3_600;
    const { removeOnComplete = { age }, removeOnFail = { age } } = this.options;
    const now = Date.now();
    await this.queue.addBulk(
      occurrences.map((data) => ({
        name: data.job,
        data,
        opts: { jobId: idOf(data), timestamp: now, delay: Math.max(0, data.at - now), removeOnComplete, removeOnFail },
      })),
    );
  }

  async known(job: string, times: readonly number[]): Promise<Map<number, 'open' | 'over'>> {
    const client = await this.queue.backend.client;
    const found = new Map<number, 'open' | 'over'>();
    const look = async (at: number) => {
      const key = this.queue.toKey(idOf({ job, at }));
      const [timestamp, finishedOn] = await client.hmget(key, 'timestamp', 'finishedOn');
      if (timestamp != null) found.set(at, finishedOn == null ? 'open' : 'over');
    };
    await Promise.all(times.map(look));
    return found;
  }

  pause(): void {
    this.worker?.pause(true).catch(() => {});
  }

  async close(): Promise<void> {
    this.leases.close();
    if (await endsWithin(CLOSE_WITHIN, this.sayGoodbye())) return;
    // Redis does not answer: without this the connections would be tried again for ever. They do not always say when they end.
    await endsWithin(DISCONNECT_WITHIN, Promise.all([this.worker?.disconnect(), this.queue.disconnect()]));
  }

  private async sayGoodbye(): Promise<void> {
    if (this.worker === null) return await this.queue.close();
    const { status } = await this.queue.backend.client;
    const isAway = status !== 'ready';
    // Not forced, it would wait for the end of a connection that there is none of, and renew locks for ever.
    await this.worker.close(isAway);
    if (isAway) await endsWithin(DISCONNECT_WITHIN, this.queue.disconnect());
    else await this.queue.close();
  }

  private async handOut(job: BullJob<Data>, token: string | undefined, take: Take): Promise<void> {
    const id = job.id as string;
    const lease = this.leases.begin(id);
    try {
      const verdict = await take({ ...job.data, id, redeliveries: job.stalledCounter, lost: lease.controller.signal });
      if (verdict === 'finished') return;
      await job.moveToDelayed(Date.now() + 1_000, token).catch((error) => {
        if (!lease.controller.signal.aborted) throw error; // Else the lock is another's already.
      });
      throw new DelayedError();
    } finally {
      this.leases.end(id, lease);
    }
  }

  private get name(): string {
    return this.options.queue ?? 'aiokit-schedule';
  }

  private get prefix(): { prefix?: string } {
    return this.options.prefix === undefined ? {} : { prefix: this.options.prefix };
  }
}
