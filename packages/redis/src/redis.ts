import { Bridge, detached, until } from '@aiokit/core';
import { type RedisOptions as BaseOptions, Redis as BaseRedis } from 'ioredis';
import { type CommandCall, MAKING } from './bridge.ts';
import { recogniseBullmq } from './bullmq.ts';
import { ClientResources, type ResourceOptions } from './client-resources.ts';
import { type AnyClient, type Command, inner, type PipelineStream, type SendCommand } from './ioredis.ts';
import { wrapOwnMethods, wrapPublicMethods } from './public-methods.ts';
import { SingleRouter } from './router.ts';
import { addTaskMethods, type TaskMethods } from './task-methods.ts';
import { Autopipeline } from './turn.ts';
import { OfflineCleaner, sendUnlessWithdrawn } from './withdrawal.ts';

/** ioredis's options and two more. */
export interface RedisOptions extends BaseOptions, ResourceOptions {}

/**
 * ioredis's `Redis`, with the same options, methods, events and results. Inside a task every command is a cancellation
 * point; outside of one it is exactly ioredis.
 *
 * - A command that was not sent is withdrawn, and never sent. One in flight is given up at once: it may have taken effect.
 *   Neither is sent again after a reconnect.
 * - A blocking command (BLPOP, BLMOVE, XREAD BLOCK, …) is ended on the server. An element that came first is delivered, and
 *   the cancel waits for the next `await`: nothing is lost.
 * - A pipeline or MULTI takes effect as a whole or not at all: {@link RedisCancelledError} says whether it was sent.
 *
 * @example
 * ```ts
 * const redis = new Redis();
 * const job = await timeout(5_000, () => redis.blpop('jobs', 0));
 * ```
 *
 * @see https://github.com/redis/ioredis
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: addTaskMethods adds what the interface below declares
export class Redis extends BaseRedis {
  declare options: RedisOptions;
  /** @internal */ [MAKING]: CommandCall | null = null;
  /** @internal */ readonly offline: OfflineCleaner = new OfflineCleaner(inner(this as AnyClient));
  /** @internal */ readonly resources: ClientResources = new ClientResources(this as never, {
    router: new SingleRouter(this as never),
    subscriber: () => new BaseRedis(subscriberOptions(this.options)),
    transaction: (options) => new Redis(options as RedisOptions),
  });
  /** @internal */ readonly autopipeline: Autopipeline = new Autopipeline(this);
  /** @internal */ belongsToNoTask = false;

  constructor(port: number, host: string, options: RedisOptions);
  constructor(path: string, options: RedisOptions);
  constructor(port: number, options: RedisOptions);
  constructor(port: number, host: string);
  constructor(options: RedisOptions);
  constructor(port: number);
  constructor(path: string);
  constructor();
  constructor(...args: readonly (number | string | RedisOptions)[]) {
    super(...(args as unknown as [port: number]));
  }

  /** The same as `new Redis(…)`. */
  static override createClient(...args: ConstructorParameters<typeof Redis>): Redis {
    return new Redis(...args);
  }

  /**
   * Connects, as ioredis does. The connection belongs to no task: a cancel ends the wait for it, and it goes on for others.
   */
  override connect(callback?: (error?: Error | null) => void): Promise<void> {
    this.resources?.reopen();
    const connecting = detached(() => super.connect(callback));
    // Also called by ioredis's constructor, before there are any fields: then nobody waits.
    return this.resources !== undefined && Bridge.isNeeded() ? until(connecting) : connecting;
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.resources?.close('now');
    super.disconnect(reconnect);
  }

  /** A new client of this class with the same options. */
  override duplicate(override?: Partial<RedisOptions>): this;
  override duplicate<O extends Partial<BaseOptions> | undefined = undefined>(override?: O): Duplicate<O>;
  override duplicate(override?: Partial<RedisOptions>): this {
    const Class = this.constructor as new (options: RedisOptions) => this;
    return new Class({ ...this.options, ...override });
  }

  /** How many commands wait in autopipelines, those of tasks included. */
  override get autoPipelineQueueSize(): number {
    return super.autoPipelineQueueSize + this.autopipeline.length;
  }

  /** @internal */
  override sendCommand(command: unknown, stream?: unknown, node?: unknown): unknown {
    if (stream === undefined) this[MAKING]?.made(command as Command, false);
    if (this.status === 'wait') detached(() => super.connect()).catch(() => {});
    return sendUnlessWithdrawn(inner(this), baseSend, command as Command, stream as PipelineStream | undefined, node);
  }

  override defineCommand(name: string, definition: Parameters<BaseRedis['defineCommand']>[1]): void {
    super.defineCommand(name, definition);
    wrapOwnMethods(this, name);
    recogniseBullmq(this, name);
  }

  override addBuiltinCommand(name: string): void {
    super.addBuiltinCommand(name);
    wrapOwnMethods(this, name);
  }
}

/** addTaskMethods puts them there, for both kinds of client. */
export interface Redis extends TaskMethods {}

declare const base: BaseRedis;
/** What ioredis's `duplicate` gives: it follows the option `replyMapping`. */
type Duplicate<O extends Partial<BaseOptions> | undefined> = ReturnType<typeof base.duplicate<O>>;

const baseSend = BaseRedis.prototype.sendCommand as SendCommand;

wrapPublicMethods(Redis.prototype);
addTaskMethods(Redis.prototype);

/** A connection that listens, and subscribes again by itself. */
function subscriberOptions(options: BaseOptions): { host: string } {
  return { ...options, lazyConnect: false, enableAutoPipelining: false, autoResubscribe: true } as { host: string };
}
