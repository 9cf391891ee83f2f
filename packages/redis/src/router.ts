/** Router: to which node a leased connection must lead, and where a cluster sends it next. */
import type { Cluster as BaseCluster, Redis as BaseRedis, RedisOptions } from 'ioredis';
import { ConnectionClosedError } from './errors.ts';
import type { Command } from './ioredis.ts';

export interface Place {
  readonly options: RedisOptions;
  /** The slot is on its way there: the command has to be announced. */
  readonly asking: boolean;
}

export interface Router {
  /** @param command what to run; anything with a key of the slot will do. */
  place(command: Command): Promise<Place>;
  isRedirection(error: Error): boolean;
  /** Where the error sends the command. */
  redirect(error: Error, command: Command): Promise<Place>;
}

/** One server, or the master that Sentinel names: a connection with the same options. */
export class SingleRouter implements Router {
  private readonly client: Pick<BaseRedis, 'condition' | 'options'>;

  constructor(client: Pick<BaseRedis, 'condition' | 'options'>) {
    this.client = client;
  }

  async place(): Promise<Place> {
    const { client } = this;
    const db = client.condition?.select ?? client.options.db ?? 0;
    return { options: leased({ ...client.options, db }), asking: false };
  }

  isRedirection(): boolean {
    return false;
  }

  redirect(): Promise<Place> {
    return this.place();
  }
}

/** The node of a cluster that has the slot. */
export class ClusterRouter implements Router {
  private readonly cluster: BaseCluster;

  constructor(cluster: BaseCluster) {
    this.cluster = cluster;
  }

  async place(command: Command): Promise<Place> {
    const { slots, connectionPool } = this.inner();
    if (slots.length === 0) await this.ready();
    const slot = (command as unknown as { getSlot(): number | null }).getSlot();
    const key = slot === null ? undefined : slots[slot]?.[0];
    const node = key === undefined ? this.cluster.nodes('master')[0] : connectionPool.getInstanceByKey(key);
    if (node === undefined)
      throw new Error(`No node of the cluster serves slot ${slot} (${key ?? 'no address known'})`);
    return { options: leased(node.options), asking: false };
  }

  isRedirection(error: Error): boolean {
    return /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN) |^Connection is closed/.test(error.message);
  }

  async redirect(error: Error, command: Command): Promise<Place> {
    const [kind, , address] = error.message.split(' ');
    if ((kind === 'MOVED' || kind === 'ASK') && address !== undefined) {
      if (kind === 'MOVED') this.inner().refreshSlotsCache();
      const node = this.inner().connectionPool.findOrCreate(this.inner().natMapper(address));
      return { options: leased(node.options), asking: kind === 'ASK' };
    }
    await new Promise((resolve) => setTimeout(resolve, this.cluster.options.retryDelayOnTryAgain ?? 100));
    return this.place(command);
  }

  /** As long as it takes: a plain command would wait in the offline queue. */
  private async ready(): Promise<void> {
    const hasEnded = () => this.cluster.status === 'end';
    if (this.cluster.status === 'wait') this.cluster.connect().catch(() => {});
    while (this.inner().slots.length === 0) {
      if (hasEnded()) throw new ConnectionClosedError('Connection is closed.');
      const error = await new Promise<Error | undefined>((resolve) => this.inner().delayUntilReady(resolve));
      if (error !== undefined && hasEnded()) throw error;
    }
  }

  private inner(): ClusterInside {
    return this.cluster as unknown as ClusterInside;
  }
}

interface ClusterInside {
  readonly slots: readonly (readonly string[])[];
  readonly connectionPool: {
    getInstanceByKey(key: string): BaseRedis | undefined;
    findOrCreate(node: RedisOptions): BaseRedis;
  };
  natMapper(address: string): RedisOptions;
  refreshSlotsCache(): void;
  delayUntilReady(callback: (error?: Error) => void): void;
}

/** Options of a connection that runs one blocking command at a time and belongs to this package alone. */
function leased(options: RedisOptions): RedisOptions {
  return {
    ...options,
    lazyConnect: false,
    monitor: false,
    enableAutoPipelining: false,
    enableOfflineQueue: true,
    autoResubscribe: false,
    // Both reject or resolve a command that goes on blocking: the element that it brings later would be lost.
    commandTimeout: undefined,
    blockingTimeout: undefined,
    scripts: undefined,
  } as RedisOptions;
}
