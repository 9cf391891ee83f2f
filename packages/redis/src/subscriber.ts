/**
 * Subscriber: the one connection that all of a client's `listen()`s share, and who listens to what.
 *
 * It is not the client's own connection: `subscribe()` and the events of the client stay ioredis's.
 */
import { detached } from '@aiokit/core';
import { ConnectionClosedError } from './errors.ts';
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
    const connection = await this.ready();
    // Also those that are not new, in case their confirmation is still under way: replies come in order.
    const asked = (added.length > 0 ? added : channels).filter((each) => this.listeners.has(keyOf(kind, each)));
    if (asked.length > 0) await subscribe(connection, SUBSCRIBE[kind], kind, asked);
  }

  async remove(subscription: Subscription): Promise<void> {
    const { kind, channels } = subscription;
    const left = channels.filter((channel) => {
      const listeners = this.listenersOf(kind, channel);
      if (!listeners.delete(subscription) || listeners.size > 0) return false;
      return this.listeners.delete(keyOf(kind, channel));
    });
    if (this.listeners.size === 0) this.rest = setTimeout(() => this.close(), REST).unref();
    const { connection } = this;
    if (left.length > 0 && connection?.status === 'ready') await subscribe(connection, UNSUBSCRIBE[kind], kind, left);
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
    const isOurs = () => this.connection === made;
    const deliver = (kind: Kind, key: Buffer | string, channel: Buffer, message: Buffer) => {
      if (isOurs()) this.deliver(kind, key, channel, message);
    };
    made.on('messageBuffer', (channel: Buffer, message: Buffer) => deliver('channel', channel, channel, message));
    made.on('smessageBuffer', (channel: Buffer, message: Buffer) => deliver('sharded', channel, channel, message));
    made.on('pmessageBuffer', (pattern: string, channel: Buffer, message: Buffer) =>
      deliver('pattern', pattern, channel, message),
    );
    made.on('ready', () => {
      if (!isOurs()) return;
      if (this.wasReady) this.tellAll({ gap: 'reconnected', dropped: null });
      this.wasReady = true;
    });
    made.on('end', () => {
      if (isOurs()) this.close();
    });
  }

  /** ioredis 5 may send a SUBSCRIBE ahead of its own INFO, which the server then refuses. */
  private async ready(): Promise<AnyClient> {
    const connection = this.connection as AnyClient;
    const status = () => connection.status as string;
    while (status() !== 'ready') {
      if (status() === 'end' || this.connection !== connection)
        throw new ConnectionClosedError('Connection is closed.');
      await detached(
        () =>
          new Promise<void>((resolve) => {
            const wake = () => {
              connection.off('ready', wake).off('end', wake);
              resolve();
            };
            connection.on('ready', wake).on('end', wake);
          }),
      );
    }
    return connection;
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

/** One command for all, but in a cluster sharded channels may be on different nodes. */
async function subscribe(
  connection: AnyClient,
  command: keyof PubSub,
  kind: Kind,
  channels: readonly string[],
): Promise<void> {
  const call = (connection as unknown as PubSub)[command] as (...channels: string[]) => Promise<unknown>;
  const groups = kind === 'sharded' ? channels.map((channel) => [channel]) : [channels];
  await detached(() => Promise.all(groups.map((group) => call.apply(connection, [...group]))));
}

function keyOf(kind: Kind, channel: string): string {
  return `${kind} ${channel}`;
}
