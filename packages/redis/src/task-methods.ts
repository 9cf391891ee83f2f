/**
 * What a client has beyond ioredis: the same methods on `Redis` and `Cluster`.
 */
import type { Future } from '@aiokit/core';
import type { ChainableCommander } from 'ioredis';
import type { BullmqClient } from './bullmq.ts';
import type { ClientResources } from './client-resources.ts';
import { detachedView, signalView } from './client-view.ts';
import { type ConsumeOptions, StreamConsumer, type StreamEntry, type StreamHandler } from './consumer.ts';
import type { Hold } from './hold.ts';
import { type AnyClient, BUILTIN_COMMANDS } from './ioredis.ts';
import { type DistributedLock, type LockOptions, lock, type ScriptClient, semaphore } from './lock.ts';
import type { Redis } from './redis.ts';
import { type ScanKeysOptions, type ScanOptions, scanKeys, scanMembers, scanPairs } from './scan.ts';
import { type ListenOptions, Subscription } from './subscription.ts';
import type { TransactionOptions } from './transaction.ts';

/** The methods that `Redis` and `Cluster` have beyond ioredis's. */
export interface TaskMethods {
  /**
   * The same client, whose commands are also cancelled when the signal aborts; they reject with the signal's reason.
   *
   * @example
   * ```ts
   * const user = await redis.with({ signal: request.signal }).get('user:1');
   * ```
   */
  with(options: { readonly signal: AbortSignal }): this;

  /**
   * The same connection without ambient tasks: no cancel reaches what is called through it. For libraries that make
   * their own plans, such as BullMQ: `new Worker('mail', work, { connection: redis.detached() })`.
   */
  detached(): this;

  /**
   * Messages of channels, as an async iterable. All `listen()`s of a client share one connection of their own; after a
   * reconnect it subscribes again, and a marker (`item.gap`) says that messages may be missing. Leaving the loop, or a
   * cancel, unsubscribes.
   *
   * @example
   * ```ts
   * for await (const item of redis.listen('news:*', { pattern: true })) {
   *   if (item.gap) await reload();
   *   else console.log(item.channel, item.message);
   * }
   * ```
   */
  listen(
    channels: string | readonly string[],
    options: ListenOptions & { readonly binary: true },
  ): Subscription<Buffer>;
  listen(channels: string | readonly string[], options?: ListenOptions): Subscription;

  /**
   * Consumes a stream as a member of a group: makes the group, runs the handler for each entry as a task, acknowledges
   * it when the handler returns, takes over what other consumers left behind, and puts aside what fails too often.
   *
   * A cancel ends the reading, lets running handlers end (`options.drain`), and leaves everything else pending.
   *
   * @example
   * ```ts
   * await redis.consume('orders', 'billing', 'worker-1', (entry) => bill(entry.fields), { limit: 5, maxDeliveries: 3 });
   * ```
   */
  consume(
    stream: string,
    group: string,
    consumer: string,
    handler: StreamHandler,
    options?: ConsumeOptions,
  ): Promise<never>;
  /**
   * Without a handler: an async iterable of entries, each to be acknowledged with `entry.ack()`.
   *
   * @example
   * ```ts
   * for await (const entry of redis.consume('orders', 'billing', 'worker-1')) {
   *   await bill(entry.fields);
   *   await entry.ack();
   * }
   * ```
   */
  consume(
    stream: string,
    group: string,
    consumer: string,
    options?: ConsumeOptions,
  ): AsyncGenerator<StreamEntry, void, void>;

  /** All keys, of every node. A key may come twice, as SCAN has it. */
  scanIterator(options?: ScanKeysOptions): AsyncGenerator<string, void, void>;
  /** The members of a set. */
  sscanIterator(key: string, options?: ScanOptions): AsyncGenerator<string, void, void>;
  /** The fields of a hash, as `[field, value]`. */
  hscanIterator(key: string, options?: ScanOptions): AsyncGenerator<[string, string], void, void>;
  /** The members of a sorted set, as `[member, score]`. */
  zscanIterator(key: string, options?: ScanOptions): AsyncGenerator<[string, number], void, void>;

  /**
   * A lock on the server: with a fencing token, renewed while it is held. With a body: runs it while the lock is held; if
   * the lock is lost, everything in the body is cancelled and the result is a {@link LockLostError}.
   *
   * Redis replicates asynchronously: a failover can forget a lock (see `options.replicas`). The token is there for that.
   *
   * @example
   * ```ts
   * await redis.lock('report', { ttl: 10_000, wait: 5_000 }, async ({ token }) => {
   *   await store.write(report, { ifTokenAtLeast: token });
   * });
   * ```
   */
  lock<R>(name: string, options: LockOptions, body: (hold: Hold) => R): Promise<Awaited<R>>;
  lock(name: string, options?: LockOptions): DistributedLock;

  /**
   * At most `limit` holders at once, in all processes; otherwise as {@link lock}.
   *
   * @example
   * ```ts
   * await redis.semaphore('printer', 2, { wait: 1_000 }, () => print(page));
   * ```
   */
  semaphore<R>(name: string, limit: number, options: LockOptions, body: (hold: Hold) => R): Promise<Awaited<R>>;
  semaphore(name: string, limit: number, options?: LockOptions): DistributedLock;

  /**
   * The value of a key, or what `load` gives, kept for `ttl` ms as JSON. In this process there is one load per key at a
   * time: others join it, and a cancel of one of them leaves it to the rest.
   *
   * @example
   * ```ts
   * const user = await redis.cached(`user:${id}`, 60_000, () => loadUser(id));
   * ```
   */
  cached<R>(key: string, ttl: number, load: () => R): Future<Awaited<R>>;

  /**
   * Runs `body` with a connection of its own, for WATCH: reads what it needs, and returns (or runs) a `tx.multi()`. If
   * somebody else changes a watched key meanwhile, the body runs again.
   *
   * @returns what the body returns; for a `multi()` that it did not run, its results.
   * @throws {@link TransactionConflictError} if all `options.retries` (20) were in vain.
   *
   * @example
   * ```ts
   * await redis.transaction(async (tx) => {
   *   await tx.watch('stock');
   *   const stock = Number(await tx.get('stock'));
   *   if (stock === 0) throw new Error('sold out');
   *   return tx.multi().decr('stock').rpush('orders', order);
   * });
   * ```
   */
  transaction<R>(body: (tx: Redis) => R, options?: TransactionOptions): Promise<TransactionResult<Awaited<R>>>;
}

/** A `multi()` becomes its results. */
export type TransactionResult<R> = R extends ChainableCommander ? [error: Error | null, result: unknown][] : R;

/** What the methods find in their client. */
interface Host extends BullmqClient {
  readonly resources: ClientResources;
}

const METHODS: ThisType<AnyClient & Host> & Record<keyof TaskMethods, unknown> = {
  with(options: { signal: AbortSignal }) {
    const signal = options?.signal;
    if (typeof signal?.addEventListener !== 'function') {
      throw new TypeError(`options.signal must be an AbortSignal, got ${String(signal)}`);
    }
    return signalView(this, signal, (name) => sends(this, name));
  },
  detached() {
    return detachedView(this);
  },
  listen(channels: string | readonly string[], options?: ListenOptions) {
    return new Subscription(this.resources.subscriber(), channels, options);
  },
  consume(
    stream: string,
    group: string,
    consumer: string,
    ...rest: [(StreamHandler | ConsumeOptions)?, ConsumeOptions?]
  ) {
    const [first, second] = rest;
    if (typeof first === 'function')
      return new StreamConsumer(this as never, stream, group, consumer, second).run(first);
    return new StreamConsumer(this as never, stream, group, consumer, first).entries();
  },
  scanIterator(options?: ScanKeysOptions) {
    return scanKeys(this, options);
  },
  sscanIterator(key: string, options?: ScanOptions) {
    return scanMembers(this, key, options);
  },
  hscanIterator(key: string, options?: ScanOptions) {
    return scanPairs(this, 'hscan', key, options);
  },
  async *zscanIterator(key: string, options?: ScanOptions): AsyncGenerator<[string, number], void, void> {
    for await (const [member, score] of scanPairs(this, 'zscan', key, options)) yield [member, Number(score)];
  },
  lock(name: string, options?: LockOptions, body?: (hold: Hold) => unknown) {
    const made = lock(this as unknown as ScriptClient, name, options);
    return body === undefined ? made : made.run(body);
  },
  semaphore(name: string, limit: number, options?: LockOptions, body?: (hold: Hold) => unknown) {
    const made = semaphore(this as unknown as ScriptClient, name, limit, options);
    return body === undefined ? made : made.run(body);
  },
  cached(key: string, ttl: number, load: () => unknown) {
    return this.resources.cache().get(key, ttl, load);
  },
  async transaction(body: (tx: Redis) => unknown, options: TransactionOptions = {}) {
    return await this.resources.transact(body, options);
  },
};

/** Adds them to a class, as methods of a class are: not enumerable. */
export function addTaskMethods(prototype: object): void {
  for (const [name, value] of Object.entries(METHODS)) {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}

const HELPERS = new Set([
  ...['call', 'callBuffer', 'send_command', 'exec', 'lock', 'semaphore', 'cached', 'transaction', 'listen', 'consume'],
  ...['scanIterator', 'sscanIterator', 'hscanIterator', 'zscanIterator'],
]);

/** Whether the method sends something, at once or step by step. */
function sends(client: AnyClient, name: string): boolean {
  if (HELPERS.has(name) || Object.hasOwn(client, name)) return true;
  const command = name.endsWith('Buffer') ? name.slice(0, -'Buffer'.length) : name;
  return BUILTINS.has(command);
}

const BUILTINS = new Set(BUILTIN_COMMANDS);
