/** What a client owns besides its own connection. Made when it is first needed; ends with the client. */
import { until } from '@aiokit/core';
import { Command as BaseCommand, type RedisOptions } from 'ioredis';
import type { BlockingOptions } from './blocking-call.ts';
import { Cache } from './cached.ts';
import { checkCount, checkMs } from './check.ts';
import { ConnectionClosedError } from './errors.ts';
import type { AnyClient, Command } from './ioredis.ts';
import { LeasePool } from './lease-pool.ts';
import type { Redis } from './redis.ts';
import type { Router } from './router.ts';
import { Subscriber } from './subscriber.ts';
import { type TransactionOptions, TransactionRunner } from './transaction.ts';

/** Our own options, of either kind of client. */
export interface ResourceOptions {
  /** How many blocking commands run at once, each on a connection of its own. Further ones wait in line. Default: 64. */
  maxBlockingConnections?: number;
  /** After a cancel of a blocking command, how many ms the server has to end it before its connection is closed. Default: 2000. */
  cancelGrace?: number;
}

/** How a client makes its other connections. */
export interface Connector {
  readonly router: Router;
  subscriber(): AnyClient;
  transaction(options: RedisOptions): Redis;
}

export class ClientResources {
  private readonly client: AnyClient & { readonly options: ResourceOptions };
  private readonly connector: Connector;
  private readonly parts: { leases?: LeasePool; subscriber?: Subscriber; transactions?: TransactionRunner } = {};
  private cacheOfClient: Cache | null = null;
  private isWatching = false;
  private isClosed = false;

  constructor(client: AnyClient & { readonly options: ResourceOptions }, connector: Connector) {
    this.client = client;
    this.connector = connector;
    const { maxBlockingConnections = 64, cancelGrace = 2_000 } = client.options;
    try {
      checkCount(maxBlockingConnections, 'options.maxBlockingConnections', 1);
      checkMs(cancelGrace, 'options.cancelGrace');
    } catch (error) {
      client.disconnect(); // ioredis's constructor has begun to connect.
      throw error;
    }
  }

  blockingOptions(encoding: 'utf8' | null): BlockingOptions {
    const { keyPrefix, cancelGrace = 2_000, maxBlockingConnections = 64 } = this.client.options;
    this.endWithClient();
    this.parts.leases ??= new LeasePool(maxBlockingConnections);
    if (this.hasEnded()) this.parts.leases.close('gently');
    return { leases: this.parts.leases, router: this.connector.router, keyPrefix, encoding, cancelGrace };
  }

  subscriber(): Subscriber {
    this.endWithClient();
    this.parts.subscriber ??= new Subscriber(() => {
      this.requireOpen();
      return this.connector.subscriber();
    });
    return this.parts.subscriber;
  }

  cache(): Cache {
    this.cacheOfClient ??= new Cache(this.client as never);
    return this.cacheOfClient;
  }

  async transact<R>(body: (tx: Redis) => R, options: TransactionOptions): Promise<unknown> {
    this.endWithClient();
    this.requireOpen();
    this.parts.transactions ??= new TransactionRunner((options) => this.connector.transaction(options));
    const { watch = [] } = options;
    if (this.client.isCluster && watch.length === 0) {
      throw new TypeError(
        'options.watch must name at least one key: on a cluster it says which node the transaction is for',
      );
    }
    const probe = new BaseCommand('watch', [...watch], { keyPrefix: this.client.options.keyPrefix as string });
    const { options: place } = await until(this.connector.router.place(probe as unknown as Command));
    return await this.parts.transactions.run(place, body, options);
  }

  /** `quit()`: what runs is ended so that nothing is lost. `disconnect()`: everything is cut off. */
  close(how: 'gently' | 'now'): void {
    this.isClosed = true;
    this.parts.leases?.close(how);
    this.parts.subscriber?.close();
    this.parts.transactions?.close();
  }

  /** The client is connected again. */
  reopen(): void {
    this.isClosed = false;
    this.parts.leases?.reopen();
    this.parts.transactions?.reopen();
  }

  private hasEnded(): boolean {
    return this.isClosed || this.client.status === 'end';
  }

  private requireOpen(): void {
    if (this.hasEnded()) throw new ConnectionClosedError('Connection is closed.');
  }

  private endWithClient(): void {
    if (this.isWatching) return;
    this.isWatching = true;
    this.client.on('end', () => this.close('gently'));
  }
}
