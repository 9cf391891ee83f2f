/**
 * Subscriber: the one connection that all of a client's `listen()`s share, and who listens to what.
 *
 * It is not the client's own connection: `subscribe()` and the events of the client stay ioredis's.
 */
import { detached } from '@aiokit/core';
import type { AnyClient } from './ioredis.ts';
import type { Gap, Kind, Subscription } from './subscription.ts';

/** The client's inside that pub/sub needs; the same for both kinds of client. */
interface PubSub {
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(...channels: string[]): Promise<unknown>;
  psubscribe(...patterns: string[]): Promise<unknown>;
  punsubscribe(...patterns: string[]): Promise<unknown>;
  ssubscribe(...channels: string[]): Promise<unknown>;
  sunsubscribe(...channels: string[]): Promise<unknown>;
  ping(): Promise<unknown>;
}

/** How long the connection rests when nobody listens before it is closed, in ms. */
const REST = 10_000;

export class Subscriber {
  private readonly connect: () => AnyClient;
  private readonly listeners = new Map<string, Set<Subscription>>();
  private connection: AnyClient | null = null;
  private wasReady = false;
  private rest: NodeJS.Timeout | undefined;

  constructor(connect: () => AnyClient) {
    this.connect = connect;
  }

  /** Resolves when the server has confirmed all channels. */
  async add(subscription: Subscription): Promise<void> {
    clearTimeout(this.rest);
    const { kind, channels } = subscription;
    const added = channels.filter((channel) => this.listenersOf(kind, channel).add(subscription).size === 1);
    this.open();
    // Also those that are not new, in case their confirmation is still under way: replies come in order.
    await this.each(SUBSCRIBE[kind], kind, added.length > 0 ? added : [...channels]);
  }

  async remove(subscription: Subscription): Promise<void> {
    const { kind, channels } = subscription;
    const left = channels.filter((channel) => {
      const listeners = this.listenersOf(kind, channel);
      if (!listeners.delete(subscription) || listeners.size > 0) return false;
      return this.listeners.delete(keyOf(kind, channel));
    });
    if (this.listeners.size === 0) this.rest = setTimeout(() => this.close(), REST).unref();
    if (left.length > 0 && this.connection?.status === 'ready') await this.each(UNSUBSCRIBE[kind], kind, left);
  }

  /** Everything that the server had sent before is here. */
  async fence(): Promise<void> {
    await detached(() => (this.connection as unknown as PubSub | null)?.ping());
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Ends the connection, and every loop with an error. */
  close(error?: Error): void {
    clearTimeout(this.rest);
    const { connection } = this;
    this.connection = null;
    this.wasReady = false;
    connection?.removeAllListeners();
    connection?.on('error', () => {});
    connection?.disconnect();
    const all = new Set([...this.listeners.values()].flatMap((each) => [...each]));
    this.listeners.clear();
    for (const subscription of all) subscription.fail(error ?? new Error('Connection is closed.'));
  }

  private open(): void {
    if (this.connection !== null && this.connection.status !== 'end') return;
    const made = detached(this.connect);
    this.connection = made;
    made.on('error', () => {}); // The client's own connection tells of the same trouble.
    made.on('messageBuffer', (channel: Buffer, message: Buffer) => this.deliver('channel', channel, channel, message));
    made.on('smessageBuffer', (channel: Buffer, message: Buffer) => this.deliver('sharded', channel, channel, message));
    made.on('pmessageBuffer', (pattern: string, channel: Buffer, message: Buffer) =>
      this.deliver('pattern', pattern, channel, message),
    );
    made.on('ready', () => {
      if (this.wasReady) this.tellAll({ gap: 'reconnected', dropped: null });
      this.wasReady = true;
    });
    made.on('end', () => {
      if (this.connection === made) this.close();
    });
  }

  /** One command for all, but in a cluster sharded channels may be on different nodes. */
  private async each(command: keyof PubSub, kind: Kind, channels: readonly string[]): Promise<void> {
    const connection = this.connection as unknown as PubSub;
    const call = connection[command] as (...channels: string[]) => Promise<unknown>;
    const groups = kind === 'sharded' ? channels.map((channel) => [channel]) : [channels];
    await detached(() => Promise.all(groups.map((group) => call.apply(connection, [...group]))));
  }

  private deliver(kind: Kind, key: Buffer | string, channel: Buffer, message: Buffer): void {
    const listeners = this.listeners.get(keyOf(kind, String(key)));
    if (listeners === undefined) return;
    const pattern = kind === 'pattern' ? String(key) : null;
    for (const listener of listeners) listener.deliver(String(channel), pattern, message);
  }

  private tellAll(gap: Gap): void {
    for (const listeners of this.listeners.values()) for (const each of listeners) each.tell(gap);
  }

  private listenersOf(kind: Kind, channel: string): Set<Subscription> {
    const key = keyOf(kind, channel);
    let listeners = this.listeners.get(key);
    if (listeners === undefined) {
      listeners = new Set();
      this.listeners.set(key, listeners);
    }
    return listeners;
  }
}

const SUBSCRIBE = { channel: 'subscribe', pattern: 'psubscribe', sharded: 'ssubscribe' } as const;
const UNSUBSCRIBE = { channel: 'unsubscribe', pattern: 'punsubscribe', sharded: 'sunsubscribe' } as const;

function keyOf(kind: Kind, channel: string): string {
  return `${kind} ${channel}`;
}
