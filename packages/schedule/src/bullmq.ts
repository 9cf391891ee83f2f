/** `@aiokit/schedule/bullmq`: the same schedule on many machines, through Redis. */
import { detached } from '@aiokit/core';
import { type Job as BullJob, type ConnectionOptions, DelayedError, type KeepJobs, Queue, Worker } from 'bullmq';
import { checkCount, checkMs, checkOptions } from './check.ts';
import { ScheduleValueError } from './errors.ts';
import {
  type Backend,
  type Engine,
  type HandedOut,
  idOf,
  jobOf,
  MOST_SKEW,
  type Occurrence,
  RETIRED,
  type SharedState,
  type Verdict,
} from './fleet/engine.ts';

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

/** What BullMQ stores for us. */
type Data = Occurrence;

interface Held {
  readonly controller: AbortController;
  renewedAt: number;
}

class BullmqEngine implements Engine {
  private readonly options: BullmqOptions;
  private readonly queue: Queue<Data>;
  private readonly lockDuration: number;
  private readonly held = new Map<string, Held>();
  private worker: Worker<Data> | null = null;
  private watch: NodeJS.Timeout | undefined;

  constructor(options: BullmqOptions) {
    this.options = options;
    this.lockDuration = options.lockDuration ?? 30_000;
    this.queue = new Queue(this.name, { connection: options.connection, ...this.prefix });
  }

  async open(take: (occurrence: HandedOut) => Promise<Verdict>, onError: (error: unknown) => void): Promise<void> {
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
      for (const id of ids) this.lose(id);
    });
    worker.on('locksRenewed', ({ jobIds }) => {
      for (const id of jobIds) this.renewed(id);
    });
    this.watch = setInterval(() => this.loseExpired(), this.lockDuration / 10).unref();
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

  /** The list of active ones is in the order in which they were handed out, newest first, whatever clocks say. */
  async ahead({ id, job }: HandedOut): Promise<number> {
    const active = await this.queue.getRanges(['active'], 0, -1);
    const before = active.slice(active.indexOf(id) + 1);
    return before.filter((other) => jobOf(other) === job).length;
  }

  async declare(job: string, rule: string): Promise<void> {
    await this.script('aiokitDeclare', job, RETIRED, rule);
  }

  async state(job: string): Promise<SharedState> {
    const client = await this.queue.backend.client;
    return sharedState(await client.hmget(this.keyOf(job), ...FIELDS));
  }

  async takeMissed(job: string): Promise<SharedState> {
    return sharedState((await this.script('aiokitTakeMissed', job)) as (string | null)[]);
  }

  async addMissed(job: string, count: number): Promise<void> {
    await this.script('aiokitAddMissed', job, count);
  }

  async requestCancel(job: string, reason: string): Promise<number> {
    return Number(await this.script('aiokitCancel', job, reason));
  }

  async now(): Promise<number> {
    return Number(await this.script('aiokitNow', ''));
  }

  pause(): void {
    this.worker?.pause(true).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.watch);
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, CLOSE_WITHIN, false);
    });
    const goodbye = async () => {
      await this.worker?.close();
      await this.queue.close();
      return true;
    };
    const saidGoodbye = await Promise.race([goodbye(), tooLong]);
    clearTimeout(timer);
    // Redis is away: without this the connections would be tried again for ever.
    if (!saidGoodbye) await Promise.all([this.worker?.disconnect(), this.queue.disconnect()]);
  }

  private async handOut(
    job: BullJob<Data>,
    token: string | undefined,
    take: (occurrence: HandedOut) => Promise<Verdict>,
  ): Promise<void> {
    const id = job.id as string;
    const held: Held = { controller: new AbortController(), renewedAt: performance.now() };
    this.held.set(id, held);
    try {
      const verdict = await take({ ...job.data, id, redeliveries: job.stalledCounter, lost: held.controller.signal });
      if (verdict === 'finished') return;
      await job.moveToDelayed(Date.now() + 1_000, token);
      throw new DelayedError();
    } finally {
      if (this.held.get(id) === held) this.held.delete(id);
    }
  }

  private renewed(id: string): void {
    const held = this.held.get(id);
    if (held !== undefined) held.renewedAt = performance.now();
  }

  private lose(id: string): void {
    this.held.get(id)?.controller.abort();
  }

  /** Cut off from Redis nobody tells us: a lock that was not renewed has run out. */
  private loseExpired(): void {
    const now = performance.now();
    for (const { controller, renewedAt } of this.held.values()) {
      if (now - renewedAt > this.lockDuration) controller.abort();
    }
  }

  private async script(name: keyof typeof SCRIPTS, job: string, ...args: (string | number)[]): Promise<unknown> {
    const client = await this.queue.backend.client;
    for (const [known, lua] of Object.entries(SCRIPTS)) client.defineCommand(known, { numberOfKeys: 1, lua });
    this.script = (which, ofJob, ...rest) => client.runCommand(which, [this.keyOf(ofJob), ...rest]);
    return await this.script(name, job, ...args);
  }

  private keyOf(job: string): string {
    return this.queue.toKey(`aiokit:${job}`);
  }

  private get name(): string {
    return this.options.queue ?? 'aiokit-schedule';
  }

  private get prefix(): { prefix?: string } {
    return this.options.prefix === undefined ? {} : { prefix: this.options.prefix };
  }
}

/** What all instances know of a job, in one hash; each step by itself, whoever else is at it. */
const SCRIPTS = {
  aiokitNow: `local time = redis.call('TIME') return time[1] * 1000 + math.floor(time[2] / 1000)`,
  aiokitDeclare: `if redis.call('HGET', KEYS[1], 'rule') ~= ARGV[1] .. ARGV[2] then
    redis.call('HSET', KEYS[1], 'rule', ARGV[2]) end`,
  aiokitTakeMissed: `local state = redis.call('HMGET', KEYS[1], 'rule', 'missed', 'cancels', 'cancelReason')
    redis.call('HDEL', KEYS[1], 'missed') return state`,
  aiokitAddMissed: `return redis.call('HINCRBY', KEYS[1], 'missed', ARGV[1])`,
  aiokitCancel: `redis.call('HSET', KEYS[1], 'cancelReason', ARGV[1])
    return redis.call('HINCRBY', KEYS[1], 'cancels', 1)`,
};

const FIELDS = ['rule', 'missed', 'cancels', 'cancelReason'] as const;

function sharedState([rule, missed, cancels, cancelReason]: readonly (string | null)[]): SharedState {
  return {
    rule: rule ?? null,
    missed: Number(missed ?? 0),
    cancels: Number(cancels ?? 0),
    cancelReason: cancelReason ?? '',
  };
}
