import { Bridge, detached, until } from '@aiokit/core';
import { Cluster as BaseCluster, type ClusterOptions as BaseOptions, type ClusterNode } from 'ioredis';
import { type CommandCall, MAKING } from './bridge.ts';
import { recogniseBullmq } from './bullmq.ts';
import { ClientResources, type ResourceOptions } from './client-resources.ts';
import { type AnyClient, type Command, type Connection, inner, PASSAGE, type SendCommand } from './ioredis.ts';
import { wrapOwnMethods, wrapPublicMethods } from './public-methods.ts';
import { Redis, type RedisOptions } from './redis.ts';
import { ClusterRouter } from './router.ts';
import { addTaskMethods, type TaskMethods } from './task-methods.ts';
import { Autopipeline } from './turn.ts';
import { guardConnection, OfflineCleaner, withdraw } from './withdrawal.ts';

/** ioredis's options and two more. */
export interface ClusterOptions extends BaseOptions, ResourceOptions {}

/**
 * ioredis's `Cluster`, whose commands obey cancellation as those of {@link Redis} do, whichever node they are sent to.
 *
 * @example
 * ```ts
 * const cluster = new Cluster([{ host: '127.0.0.1', port: 7000 }]);
 * const job = await timeout(5_000, () => cluster.blpop('{jobs}:urgent', 0));
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: addTaskMethods adds what the interface below declares
export class Cluster extends BaseCluster {
  declare options: ClusterOptions;
  /** @internal */ [MAKING]: CommandCall | null = null;
  /** @internal */ readonly offline: OfflineCleaner = new OfflineCleaner(inner(this as AnyClient));
  /** @internal */ readonly autopipeline: Autopipeline = new Autopipeline(this);
  /** @internal */ belongsToNoTask = false;
  /** @internal */ readonly resources: ClientResources = new ClientResources(this as never, {
    router: new ClusterRouter(this as unknown as BaseCluster),
    // Sharded channels are spread over the nodes: ioredis listens to all of them if it is told to.
    subscriber: () => {
      const options = { ...this.options, lazyConnect: false, shardedSubscribers: true };
      return new BaseCluster([...(this as unknown as ClusterInside).startupNodes], options as { redisOptions: object });
    },
    transaction: (options) => new Redis(options as RedisOptions),
  });

  constructor(startupNodes: ClusterNode[], options?: ClusterOptions) {
    super(startupNodes, options as { redisOptions: object });
    // The nodes are plain ioredis connections with queues of their own. None has been made before the next microtask.
    (this as unknown as ClusterInside).connectionPool.on('+node', guardConnection);
  }

  /** Connects, as ioredis does. The connections belong to no task: a cancel ends the wait for them, and they go on for others. */
  override connect(): Promise<void> {
    this.resources?.reopen();
    const connecting = detached(() => super.connect());
    // Also called by ioredis's constructor, before there are any fields: then nobody waits.
    return this.resources !== undefined && Bridge.isNeeded() ? until(connecting) : connecting;
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.resources?.close('now');
    super.disconnect(reconnect);
  }

  /** A new client of this class with the same nodes and options. */
  override duplicate(startupNodes?: ClusterNode[], options?: ClusterOptions): this;
  override duplicate<O extends DuplicateOptions = undefined>(startupNodes?: ClusterNode[], options?: O): Duplicate<O>;
  override duplicate(startupNodes: ClusterNode[] = [], options: ClusterOptions = {}): this {
    const Class = this.constructor as new (startupNodes: ClusterNode[], options: ClusterOptions) => this;
    const { startupNodes: own } = this as unknown as ClusterInside;
    const redisOptions = { ...this.options.redisOptions, ...options.redisOptions };
    return new Class(startupNodes.length > 0 ? startupNodes : [...own], { ...this.options, ...options, redisOptions });
  }

  /** How many commands wait in autopipelines, those of tasks included. */
  override get autoPipelineQueueSize(): number {
    return super.autoPipelineQueueSize + this.autopipeline.length;
  }

  /** @internal */
  override sendCommand(command: unknown, stream?: unknown, node?: unknown): unknown {
    const sent = command as Command;
    if (stream === undefined) this[MAKING]?.made(sent, false);
    if (this.status === 'wait') detached(() => super.connect()).catch(() => {});
    const passage = sent[PASSAGE];
    if (passage?.withdrawn !== 'dropped') return baseSend.call(this, sent, stream as never, node);
    withdraw(sent, passage);
    return sent.promise;
  }

  override defineCommand(name: string, definition: Parameters<BaseCluster['defineCommand']>[1]): void {
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
export interface Cluster extends TaskMethods {}

interface ClusterInside {
  readonly startupNodes: ClusterNode[];
  readonly connectionPool: { on(event: '+node', listener: (node: Connection) => void): void };
}

declare const base: BaseCluster;
type DuplicateOptions = Parameters<BaseCluster['duplicate']>[1];
/** What ioredis's `duplicate` gives: it follows the option `replyMapping`. */
type Duplicate<O extends DuplicateOptions> = ReturnType<typeof base.duplicate<O>>;

const baseSend = BaseCluster.prototype.sendCommand as SendCommand;

wrapPublicMethods(Cluster.prototype);
addTaskMethods(Cluster.prototype);

// As in ioredis: `new Redis.Cluster(…)`. Here, since a cluster needs Redis to be there first.
Object.defineProperty(Redis, 'Cluster', { value: Cluster, writable: true, configurable: true });
