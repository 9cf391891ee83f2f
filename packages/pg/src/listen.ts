/**
 * LISTEN as async iterables, all of a pool's on one connection that none of them owns.
 *
 * The connection is made for the first listener and closed with the last. When it breaks it is made again, with pauses that
 * grow, and every channel is listened to again; PostgreSQL keeps nothing for those who are away, so each listener is told
 * that there is a gap.
 */
import { detached, Future, getRunningLoop, type Operation, type OperationOptions, sleep, trackIO } from '@aiokit/core';
import pg from 'pg';
import { Client } from './client.ts';

export interface Notification {
  readonly channel: string;
  readonly payload: string;
  /** The server process of the sender. */
  readonly processId: number;
  readonly gap?: undefined;
}

/** Notifications may be missing here: whatever they were about has to be looked up. */
export interface NotificationGap {
  /** `'reconnected'`: the connection had broken. `'overflow'`: the consumer was too slow, and the oldest were dropped. */
  readonly gap: 'reconnected' | 'overflow';
  /** How many were dropped; for `'reconnected'` nobody knows. */
  readonly lost?: number;
  readonly channel?: undefined;
  readonly payload?: undefined;
}

export interface ListenOptions {
  /** How many notifications are kept for a consumer that is slower than they come. Default: 1000. */
  buffer?: number | undefined;
}

/** Pauses between attempts to connect again, in ms; with jitter. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 5000;
/** A connection on which nothing ever happens may be dead without anybody knowing: so often it is asked, in ms. */
const HEARTBEAT = 15_000;

/** The notifications of some channels: what `pool.listen` gives. */
export class Listener implements AsyncIterable<Notification | NotificationGap>, AsyncDisposable {
  /** @internal */ readonly _channels: readonly string[];
  private readonly hub: ListenHub;
  private readonly limit: number;
  private readonly buffer: Notification[] = [];
  private lost = 0;
  private hasReconnected = false;
  private joined: Future<void> | null = null;
  private waiter: Future<void> | null = null;
  private isClosed = false;
  private error: Error | null = null;

  /** @internal */
  constructor(hub: ListenHub, channels: readonly string[], limit: number) {
    this.hub = hub;
    this._channels = channels;
    this.limit = limit;
  }

  /** Resolves when the server listens: what is notified from now on will come. An error or a cancel closes it. */
  async ready(): Promise<void> {
    if (this.joined === null) {
      this.joined = new Future<void>();
      this.hub.join(this);
    }
    const operation = getRunningLoop().clock.real ? null : trackIO('pg listen', { label: this._channels.join(', ') });
    try {
      await this.joined;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      operation?.end();
    }
  }

  /** Stops listening. A loop over it ends. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.wake();
    if (this.joined === null) return;
    const operation = this.track();
    try {
      await detached(() => this.hub.leave(this));
    } finally {
      operation?.end();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Notification | NotificationGap, void, undefined> {
    try {
      await this.ready();
      for (;;) {
        const next = this.take();
        if (next !== null) yield next;
        else if (this.error !== null) throw this.error;
        else if (this.isClosed) return;
        else await this.more();
      }
    } finally {
      await this.close();
    }
  }

  /** @internal The server listens. */
  _listening(again: boolean): void {
    if (this.joined?.done() === false) this.joined.setResult();
    else if (again) {
      this.hasReconnected = true;
      this.wake();
    }
  }

  /** @internal It could not be begun, or the pool has ended. */
  _fail(error: Error | null): void {
    if (this.joined?.done() === false) this.joined.setException(error ?? new Error('The pool has been ended'));
    else this.error = error;
    this.isClosed = true;
    this.wake();
  }

  /** @internal */
  _push(notification: Notification): void {
    if (this.buffer.length >= this.limit) {
      this.buffer.shift();
      this.lost++;
    }
    this.buffer.push(notification);
    this.wake();
  }

  private take(): Notification | NotificationGap | null {
    if (this.lost > 0) {
      const { lost } = this;
      this.lost = 0;
      return { gap: 'overflow', lost };
    }
    if (this.buffer.length > 0) return this.buffer.shift() as Notification;
    if (!this.hasReconnected) return null;
    this.hasReconnected = false;
    return { gap: 'reconnected' };
  }

  private async more(): Promise<void> {
    this.waiter = new Future<void>();
    const operation = this.track({ open: true, fence: () => this.hub.fence() });
    try {
      await this.waiter;
    } finally {
      operation?.end();
    }
  }

  /** Only a virtual clock has to know. */
  private track(options?: OperationOptions): Operation | null {
    return getRunningLoop().clock.real ? null : trackIO('pg listen', { ...options, label: this._channels.join(', ') });
  }

  private wake(): void {
    if (this.waiter?.done() === false) this.waiter.setResult();
  }
}

export class ListenHub {
  private readonly config: pg.ClientConfig;
  private readonly listeners = new Set<Listener>();
  private client: Client | null = null;
  private running: Promise<void> | null = null;
  private isClosed = false;
  /** Ends the pause before the next attempt, or the wait of a connection that nobody needs any more. */
  private interrupt: (() => void) | null = null;

  constructor(config: pg.ClientConfig) {
    this.config = { keepAlive: true, ...config };
  }

  listener(channels: readonly string[], limit: number): Listener {
    return new Listener(this, channels, limit);
  }

  join(listener: Listener): void {
    if (this.isClosed) return listener._fail(new Error('Cannot listen on a pool after calling end on the pool'));
    this.listeners.add(listener);
    const { client } = this;
    if (client !== null) this.listen(client, listener._channels, [listener], false);
    this.running ??= detached(() => this.run());
  }

  async leave(listener: Listener): Promise<void> {
    if (!this.listeners.delete(listener)) return;
    if (this.listeners.size === 0) {
      this.interrupt?.();
      return this.running ?? undefined;
    }
    const unused = listener._channels.filter((channel) => !this.isUsed(channel));
    if (this.client === null || unused.length === 0) return;
    await this.client
      .query(unused.map((channel) => `UNLISTEN ${pg.escapeIdentifier(channel)}`).join('; '))
      .catch(ignore);
  }

  /** Everything that was sent to us before has arrived. */
  async fence(): Promise<void> {
    await detached(async () => this.client?.query(''))?.catch(ignore);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const listener of this.listeners) listener._fail(null);
    this.listeners.clear();
    this.interrupt?.();
    await this.running;
  }

  /** Keeps a connection for as long as somebody listens. */
  private async run(): Promise<void> {
    let hasWorked = false;
    for (let failures = 0; this.listeners.size > 0; ) {
      try {
        await this.connection(hasWorked, () => {
          hasWorked = true;
          failures = 0;
        });
      } catch (error) {
        if (!hasWorked) this.failAll(error as Error);
        failures++;
      }
      if (this.listeners.size > 0) await this.pause(failures);
    }
    this.running = null;
    if (this.listeners.size > 0) this.running = this.run(); // Somebody joined in the last moment.
  }

  /** One connection, from its beginning to its end. */
  private async connection(again: boolean, works: () => void): Promise<void> {
    const client = new Client(this.config);
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    client.on('error', ignore); // 'end' follows.
    client.on('notification', ({ channel, payload = '', processId }) => {
      for (const listener of this.listeners) {
        if (listener._channels.includes(channel)) listener._push({ channel, payload, processId });
      }
    });
    const unneeded = new Promise<void>((resolve) => {
      this.interrupt = resolve;
    });
    let heartbeat: NodeJS.Timeout | undefined;
    try {
      await client.connect();
      const present = [...this.listeners];
      this.client = client;
      await this.listen(client, [...new Set(present.flatMap(({ _channels }) => _channels))], present, again);
      works();
      heartbeat = setInterval(() => this.beat(client), HEARTBEAT).unref();
      if (this.listeners.size > 0) await Promise.race([ended, unneeded]);
    } finally {
      this.client = null;
      this.interrupt = null;
      clearInterval(heartbeat);
      const bound = setTimeout(() => client._destroy(), client._cancelOptions.cancelGrace);
      await client.end().catch(ignore);
      clearTimeout(bound);
    }
  }

  private async listen(
    client: Client,
    channels: readonly string[],
    listeners: readonly Listener[],
    again: boolean,
  ): Promise<void> {
    const text = channels.map((channel) => `LISTEN ${pg.escapeIdentifier(channel)}`).join('; ');
    try {
      await detached(() => client.query(text));
    } catch (error) {
      if (this.client === client && !client._ended)
        for (const listener of listeners) this.drop(listener, error as Error);
      return;
    }
    for (const listener of listeners) listener._listening(again);
  }

  private drop(listener: Listener, error: Error): void {
    this.listeners.delete(listener);
    listener._fail(error);
    if (this.listeners.size === 0) this.interrupt?.();
  }

  private failAll(error: Error): void {
    for (const listener of this.listeners) listener._fail(error);
    this.listeners.clear();
  }

  private beat(client: Client): void {
    const bound = setTimeout(() => client.connection.stream.destroy(), client._cancelOptions.cancelGrace).unref();
    client.query('', () => clearTimeout(bound));
  }

  private async pause(failures: number): Promise<void> {
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);
    const pause = sleep(longest * (0.5 + Math.random() / 2));
    this.interrupt = () => void pause.cancel();
    await pause.catch(ignore);
    this.interrupt = null;
  }

  private isUsed(channel: string): boolean {
    for (const { _channels } of this.listeners) if (_channels.includes(channel)) return true;
    return false;
  }
}

function ignore(): void {}
