/**
 * WATCH transactions. WATCH belongs to a connection, so each runs on one of its own, that rests afterwards.
 */
import { detached, protect, rethrowCancelled, sleep } from '@aiokit/core';
import type { RedisOptions } from 'ioredis';
import { checkCount, checkFunction } from './check.ts';
import { TransactionConflictError } from './errors.ts';
import type { Pipeline } from './ioredis.ts';
import type { Redis } from './redis.ts';

export interface TransactionOptions {
  /** Keys to watch from the start. On a cluster they say which node it is: there they are needed. */
  watch?: readonly (string | Buffer)[];
  /** How often it is tried again when somebody else changed a watched key. Default: 20. */
  retries?: number;
}

/** How long a connection rests before it is closed, in ms. */
const REST = 10_000;
/** A cleanup on the connection may take so many ms; then the connection is closed instead. */
const CLEANUP = 2_000;

export class TransactionRunner {
  private readonly connect: (options: RedisOptions) => Redis;
  private readonly resting = new Map<Redis, { key: string; timer: NodeJS.Timeout }>();
  private readonly used = new Set<Redis>();
  private isClosed = false;

  constructor(connect: (options: RedisOptions) => Redis) {
    this.connect = connect;
  }

  async run<R>(place: RedisOptions, body: (tx: Redis) => R, options: TransactionOptions): Promise<unknown> {
    const { watch = [], retries = 20 } = options;
    checkFunction(body, 'body');
    checkCount(retries, 'options.retries', 0);
    for (let tries = 0; ; tries++) {
      const tx = this.take(place);
      try {
        const outcome = await attempt(tx, body, watch);
        if (outcome !== CONFLICT) return outcome;
      } finally {
        await this.giveBack(tx, place);
      }
      if (tries >= retries)
        throw new TransactionConflictError(`Watched keys were changed at each of ${tries + 1} tries`);
      await sleep(Math.random() * Math.min(2 ** tries, 100));
    }
  }

  close(): void {
    this.isClosed = true;
    for (const tx of [...this.resting.keys(), ...this.used]) this.drop(tx);
  }

  reopen(): void {
    this.isClosed = false;
  }

  private take(place: RedisOptions): Redis {
    const key = keyOf(place);
    for (const [tx, rest] of this.resting) {
      if (tx.status !== 'ready') {
        this.drop(tx);
      } else if (rest.key === key) {
        clearTimeout(rest.timer);
        this.resting.delete(tx);
        this.used.add(tx);
        return tx;
      }
    }
    const made = detached(() => this.connect({ ...place, enableAutoPipelining: false }));
    made.on('error', () => {}); // The client's own connection tells of the same trouble.
    this.used.add(made);
    return made;
  }

  private async giveBack(tx: Redis, place: RedisOptions): Promise<void> {
    try {
      // Whatever the body left: watched keys, an open MULTI. UNWATCH is refused inside of one.
      const clean = async () => void (await tx.unwatch().catch(() => tx.discard()));
      if (tx.status === 'ready') await protect(clean, { grace: CLEANUP });
    } catch (error) {
      this.drop(tx);
      rethrowCancelled(error);
      return;
    }
    this.used.delete(tx);
    if (tx.status !== 'ready' || this.isClosed) return this.drop(tx);
    const timer = setTimeout(() => this.drop(tx), REST).unref();
    this.resting.set(tx, { key: keyOf(place), timer });
  }

  private drop(tx: Redis): void {
    clearTimeout(this.resting.get(tx)?.timer);
    this.resting.delete(tx);
    this.used.delete(tx);
    tx.disconnect();
  }
}

const CONFLICT = Symbol('conflict');

class Conflict extends Error {}

async function attempt<R>(tx: Redis, body: (tx: Redis) => R, watch: readonly (string | Buffer)[]): Promise<unknown> {
  const view = noticingConflicts(tx);
  try {
    if (watch.length > 0) await tx.watch(...watch);
    const result: unknown = await body(view);
    return isPipeline(result) ? await result.exec() : result;
  } catch (error) {
    if (error instanceof Conflict) return CONFLICT;
    throw error;
  }
}

/** The body's client: an `exec()` that gives null, because a watched key was changed, ends the try. */
function noticingConflicts(tx: Redis): Redis {
  return new Proxy(tx, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== 'multi') return typeof value === 'function' ? value.bind(target) : value;
      return (...args: unknown[]) => {
        const made = (value as (...args: unknown[]) => unknown).apply(target, args);
        if (!isPipeline(made)) return made;
        const { exec } = made;
        made.exec = async () => {
          const results = await exec.call(made);
          if (results === null) throw new Conflict();
          return results;
        };
        return made;
      };
    },
  });
}

function isPipeline(value: unknown): value is Pipeline {
  return typeof value === 'object' && value !== null && 'isPipeline' in value;
}

function keyOf({ host, port, path, db }: RedisOptions): string {
  return `${path ?? `${host}:${port}`}/${db ?? 0}`;
}
