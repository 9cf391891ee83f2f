/** `@aiokit/schedule/pg-boss`: the same schedule on many machines, through PostgreSQL. */
import { createHash } from 'node:crypto';
import { createTask, detached, Event, rethrowCancelled, sleep, type Task, timeout, until } from '@aiokit/core';
import { type ConstructorOptions, type JobWithMetadata, PgBoss } from 'pg-boss';
import { checkCount, checkMs, checkString } from './check.ts';
import { ScheduleValueError } from './errors.ts';
import { endsWithin } from './fleet/ends-within.ts';
import { type Backend, type Engine, idOf, MOST_SKEW, type Occurrence, type Take } from './fleet/engine.ts';
import { Leases } from './fleet/leases.ts';
import { PgBossBoard } from './fleet/pg-boss-board.ts';

export interface PgBossOptions extends ConstructorOptions {
  /** The queue. Schedulers that share it are one fleet. Default: `'aiokit-schedule'`. */
  queue?: string | undefined;
  /** How many runs at once on this instance, the ones that wait in line included. Default: 100. */
  concurrency?: number | undefined;
  /** How often to look for occurrences that others have put in, in ms. One's own are fetched at their time. Default: 1,000. */
  pollEvery?: number | undefined;
  /** After how many ms without a sign of life the run of a dead instance is given to another; 10,000 or more. Default: 30,000. */
  lockDuration?: number | undefined;
  /** For how many seconds finished occurrences are kept; 0 is for ever. Default: an hour longer than each job's grace. */
  deleteAfterSeconds?: number | undefined;
}

/**
 * A backend on pg-boss (12 or newer). It is given what `new PgBoss()` takes.
 *
 * @throws ScheduleValueError, here or at `do()`, for settings that remove finished occurrences too early.
 *
 * @example
 * ```ts
 * const scheduler = new Scheduler({ backend: pgBoss({ connectionString }), timeZone: 'UTC' });
 * scheduler.every().day.at('03:00').do(backup);
 * await scheduler.runForever(); // on every machine; each occurrence runs on one of them
 * ```
 *
 * @see https://pgboss.io/
 */
export function pgBoss(options: PgBossOptions): Backend {
  const { queue, concurrency, pollEvery, lockDuration, deleteAfterSeconds: age } = options;
  if (concurrency !== undefined) checkCount(concurrency, 'options.concurrency', 1);
  if (pollEvery !== undefined) checkMs(pollEvery, 'options.pollEvery', 10);
  if (lockDuration !== undefined) checkMs(lockDuration, 'options.lockDuration', 10_000);
  if (age !== undefined) checkCount(age, 'options.deleteAfterSeconds', 0);
  if (queue !== undefined) checkString(queue, 'options.queue');
  if (queue !== undefined && !/^[\w.\-/]+$/.test(queue)) {
    throw new ScheduleValueError(`options.queue must be letters, digits, _ - . or /, got '${queue}'`);
  }
  const requireKept = (forMs: number) => {
    const needed = Math.ceil((forMs + MOST_SKEW) / 1_000);
    if (age === undefined || age === 0 || age >= needed) return;
    throw new ScheduleValueError(
      `deleteAfterSeconds must keep finished occurrences for the grace and a minute, ${needed} or more (0 is for ever), got ` +
        `${age}: an instance that is late would put one in again, and it would run twice`,
    );
  };
  requireKept(0);
  return { requireKept, connect: () => detached(() => new PgBossEngine(options)) };
}

/** How long the steps of the end may take when the database is away, in ms. */
const CLOSE_WITHIN = 1_500;

/** Between two attempts to reach a database that is away at the beginning, in ms. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 5_000;

class PgBossEngine implements Engine {
  private readonly boss: PgBoss;
  private readonly queue: string;
  private readonly schema: string;
  private readonly concurrency: number;
  private readonly pollEvery: number;
  private readonly lockDuration: number;
  private readonly deleteAfterSeconds: number | undefined;
  private readonly leases: Leases;
  readonly board: PgBossBoard;
  private readonly handingOut = new Set<Promise<void>>();
  private readonly work = new Event();
  private readonly due = new Map<number, NodeJS.Timeout>();
  private readonly background: Task<void>[] = [];
  private onError: (error: unknown) => void = () => {};
  private paused = false;
  private closed = false;

  constructor(options: PgBossOptions) {
    const { queue, concurrency, pollEvery, lockDuration, deleteAfterSeconds, ...own } = options;
    this.queue = queue ?? 'aiokit-schedule';
    this.concurrency = concurrency ?? 100;
    this.pollEvery = pollEvery ?? 1_000;
    this.lockDuration = lockDuration ?? 30_000;
    this.deleteAfterSeconds = deleteAfterSeconds;
    this.schema = own.schema ?? 'pgboss';
    const look = Math.max(1, Math.round(this.lockDuration / 3_000));
    // The recurrence is ours, and a dead instance is to be noticed soon.
    const defaults = {
      schedule: false,
      superviseIntervalSeconds: look,
      monitorIntervalSeconds: look,
      // A database that has become unreachable never answers, and a query that waits keeps its connection, and the process.
      query_timeout: Math.max(60_000, this.lockDuration),
    };
    this.boss = new PgBoss({ ...defaults, ...own });
    this.leases = new Leases(this.lockDuration);
    this.board = new PgBossBoard((text, values) => this.sql(text, values), this.schema, this.queue);
  }

  async open(take: Take, onError: (error: unknown) => void): Promise<void> {
    this.onError = onError;
    this.boss.on('error', onError);
    await this.connect();
    if (this.closed) return await this.boss.stop({ graceful: false });
    this.background.push(
      detached(() => createTask(() => this.fetchAndRun(take), { name: 'schedule fetch' })),
      detached(() => createTask(() => this.stayAlive(), { name: 'schedule heartbeat' })),
    );
  }

  private async connect(): Promise<void> {
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
      try {
        await detached(() => this.boss.start());
        await this.boss.createQueue(this.queue, {
          // An occurrence runs at least once, however many instances die of it or beside it.
          retryLimit: 1_000_000,
          retryDelay: 1,
          expireInSeconds: 23 * 3_600,
          heartbeatSeconds: Math.round(this.lockDuration / 1_000),
        });
        return await this.board.create();
      } catch (error) {
        if (this.closed || !isAway(error)) throw error;
        this.onError(error);
      }
      await sleep(wait);
    }
  }

  async enqueue(occurrences: readonly Occurrence[], keepFor: number): Promise<void> {
    const deleteAfterSeconds = this.deleteAfterSeconds ?? Math.ceil(keepFor / 1_000) + 3_600;
    await this.boss.insert(
      this.queue,
      occurrences.map((data) => ({ id: uuidOf(idOf(data)), data, startAfter: new Date(data.at), deleteAfterSeconds })),
    );
    for (const { at } of occurrences) this.wakeAt(at);
  }

  async known(job: string, times: readonly number[]): Promise<Map<number, 'open' | 'over'>> {
    const ids = new Map(times.map((at) => [uuidOf(idOf({ job, at })), at]));
    const rows = await this.sql(
      `select id, state < 'completed' as open from ${this.schema}.job where name = $1 and id = any($2::uuid[])`,
      [this.queue, [...ids.keys()]],
    );
    return new Map(rows.map(({ id, open }) => [ids.get(String(id)) as number, open === true ? 'open' : 'over']));
  }

  pause(): void {
    this.paused = true;
    this.work.set();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.pause();
    for (const timer of this.due.values()) clearTimeout(timer);
    await endsWithin(CLOSE_WITHIN, Promise.all(this.handingOut));
    this.leases.close();
    for (const task of this.background) {
      task.cancel();
      await task.catch(() => {});
    }
    await endsWithin(CLOSE_WITHIN, this.boss.stop({ graceful: false }));
  }

  private async fetchAndRun(take: Take): Promise<void> {
    while (!this.paused) {
      this.work.clear();
      const batchSize = this.concurrency - this.leases.size;
      try {
        const jobs =
          batchSize > 0
            ? await until(this.boss.fetch<Occurrence>(this.queue, { batchSize, includeMetadata: true }))
            : [];
        jobs.sort((a, b) => a.data.at - b.data.at); // pg-boss takes the oldest, and returns them in any order.
        for (const job of jobs) this.track(detached(() => this.handOut(job, take)));
        if (jobs.length === batchSize && jobs.length > 0) continue;
      } catch (error) {
        rethrowCancelled(error);
        this.onError(error);
      }
      await timeout(this.pollEvery, () => this.work.wait()).catch(ignoreTimeout);
    }
  }

  private async handOut({ id, retryCount, data }: JobWithMetadata<Occurrence>, take: Take): Promise<void> {
    const lease = this.leases.begin(id, retryCount);
    const { signal } = lease.controller;
    const verdict = await take({ ...data, id, redeliveries: retryCount, lost: signal });
    for (let triesAtClose = 5; triesAtClose > 0; ) {
      try {
        // With the attempt: if it was given to somebody else meanwhile, it is theirs to end.
        const attempt = { id, retryCount };
        if (verdict === 'finished') await this.boss.complete(this.queue, attempt);
        else await this.giveBack(attempt);
        break;
      } catch (error) {
        this.onError(error);
        if (signal.aborted) break;
        if (this.paused) triesAtClose--;
        await sleep(1_000);
      }
    }
    this.leases.end(id, lease);
    this.work.set();
  }

  /** As new, a second from now. `fail()` would count it as an attempt, and as one that somebody died of. */
  private async giveBack({ id, retryCount }: { id: string; retryCount: number }): Promise<void> {
    await this.sql(
      `update ${this.schema}.job set state = 'created', started_on = null, heartbeat_on = null,
       start_after = now() + interval '1 second' where name = $1 and id = $2 and state = 'active' and retry_count = $3`,
      [this.queue, id, retryCount],
    );
  }

  private track(handingOut: Promise<void>): void {
    this.handingOut.add(handingOut);
    void handingOut.finally(() => this.handingOut.delete(handingOut));
  }

  /** Says that this instance lives, and hears which runs are not its own any more. */
  private async stayAlive(): Promise<void> {
    for (;;) {
      await sleep(this.lockDuration / 4);
      const held = this.leases.entries();
      if (held.length === 0) continue;
      const at = performance.now();
      try {
        const touched = held.map(([id, { attempt }]) => ({ id, retryCount: attempt }));
        await until(this.boss.touch(this.queue, touched));
        const sql = this.sql(
          `select id, retry_count from ${this.schema}.job where name = $1 and id = any($2::uuid[]) and state = 'active'`,
          [this.queue, held.map(([id]) => id)],
        );
        const rows = await until(sql);
        const mine = new Map(rows.map((row) => [String(row.id), Number(row.retry_count)]));
        for (const [id, lease] of held) {
          if (mine.get(id) === lease.attempt) lease.renewedAt = at;
          else lease.controller.abort();
        }
      } catch (error) {
        rethrowCancelled(error);
        this.onError(error);
      }
    }
  }

  /** Looks in the engine when an occurrence is due, instead of at the next poll. */
  private wakeAt(at: number): void {
    if (this.due.has(at) || this.paused) return;
    const wait = Math.max(0, at - Date.now());
    if (wait > 60_000) return; // The poll will do; and timers end at 24 days.
    const wake = () => {
      this.due.delete(at);
      this.work.set();
    };
    this.due.set(at, setTimeout(wake, wait + 2).unref());
  }

  private async sql(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    const { rows } = await this.boss.getDb().executeSql(text, values);
    return rows as Record<string, unknown>[];
  }
}

/** Nobody answers, or the server says that it is not ready. */
function isAway(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return (
    /^(E[A-Z]+|EAI_AGAIN|08...|57P0[123]|53300)$/.test(String(code)) ||
    /^(Connection terminated|timeout exceeded)/.test(String(message))
  );
}

/** RFC 9562's version 5, by name, in a namespace of our own. */
function uuidOf(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const NAMESPACE = Buffer.from('5e1f0c64a7f94d0f8f6b3c1d2a9e7b40', 'hex');

function ignoreTimeout(error: unknown): void {
  if ((error as { code?: string }).code !== 'ETIMEDOUT') throw error;
}
