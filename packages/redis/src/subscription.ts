import { Future, protect, trackIO, until } from '@aiokit/core';
import { checkCount, checkName, checkOneOf } from './check.ts';
import type { Subscriber } from './subscriber.ts';

export interface ListenOptions {
  /** The channels are globs, such as `'news:*'` (PSUBSCRIBE). */
  pattern?: boolean;
  /** The channels are sharded (SSUBSCRIBE, Redis 7). */
  sharded?: boolean;
  /** Messages as Buffers. Default: strings. */
  binary?: boolean;
  /** How many messages wait for the loop at most. Default: 1,000. */
  buffer?: number;
  /**
   * What becomes of one more: the oldest is dropped, or the new one (both leave a gap marker), or the loop ends with an
   * error. Redis does not slow down a publisher. Default: `'drop-oldest'`.
   */
  overflow?: 'drop-oldest' | 'drop-newest' | 'error';
}

/** A message. */
export interface Message<M extends string | Buffer = string> {
  readonly channel: string;
  /** The glob that it came through; null without `pattern`. */
  readonly pattern: string | null;
  readonly message: M;
  readonly gap?: undefined;
}

/** Messages may be missing here: pub/sub keeps nothing for those who are away or too slow. */
export interface Gap {
  readonly gap: 'reconnected' | 'overflow';
  /** How many were dropped; null if nobody can know. */
  readonly dropped: number | null;
  readonly channel?: undefined;
  readonly pattern?: undefined;
  readonly message?: undefined;
}

export type Kind = 'channel' | 'pattern' | 'sharded';

/** A cleanup that the server does not answer is not waited for longer than this, in ms. */
const CLEANUP = 2_000;

/**
 * What `redis.listen(…)` gives: messages, and markers where some may be missing. For one loop.
 *
 * Leaving the loop (`break`, an error, a cancel) unsubscribes from channels that nobody else listens to.
 */
export class Subscription<M extends string | Buffer = string>
  implements AsyncIterable<Message<M> | Gap>, AsyncDisposable
{
  readonly kind: Kind;
  readonly channels: readonly string[];
  private readonly subscriber: Subscriber;
  private readonly limit: number;
  private readonly binary: boolean;
  private readonly overflow: 'drop-oldest' | 'drop-newest' | 'error';
  private items: (Message<M> | Gap)[] = [];
  /** How many of the items are messages. */
  private messages = 0;
  private confirmed: Promise<void> | null = null;
  private arrival: Future<void> | null = null;
  private error: Error | null = null;
  private isOver = false;

  /** @internal */
  constructor(subscriber: Subscriber, channels: string | readonly string[], options: ListenOptions = {}) {
    const { pattern = false, sharded = false, binary = false, buffer = 1_000, overflow = 'drop-oldest' } = options;
    this.channels = [...new Set(typeof channels === 'string' ? [channels] : channels)];
    if (this.channels.length === 0) throw new RangeError('channels must name at least one channel, got []');
    for (const channel of this.channels) checkName(channel, 'channels');
    if (pattern && sharded)
      throw new TypeError('options.pattern and options.sharded exclude each other: Redis has no sharded patterns');
    checkCount(buffer, 'options.buffer', 1);
    checkOneOf(overflow, 'options.overflow', ['drop-oldest', 'drop-newest', 'error']);
    this.subscriber = subscriber;
    this.kind = pattern ? 'pattern' : sharded ? 'sharded' : 'channel';
    this.limit = buffer;
    this.binary = binary;
    this.overflow = overflow;
  }

  /** Resolves when the server has confirmed the subscription: what is published from then on is received. */
  async ready(): Promise<void> {
    if (this.isOver) throw new Error('This subscription has ended: call listen() again');
    const operation = trackIO('redis', { label: `subscribe ${this.channels.join(' ')}` });
    this.confirmed ??= this.subscriber.add(this as unknown as Subscription);
    try {
      await until(this.confirmed);
    } finally {
      operation.end();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Message<M> | Gap, void, void> {
    try {
      await this.ready();
      for (;;) {
        const item = this.items.shift();
        if (item !== undefined) {
          if (item.gap === undefined) this.messages--;
          yield item;
        } else if (this.error !== null) throw this.error;
        else if (this.isOver) return;
        else await this.nextArrival();
      }
    } finally {
      await this.close();
    }
  }

  /** Unsubscribes, as leaving the loop does. A loop that waits ends. */
  async close(): Promise<void> {
    if (this.isOver) return;
    this.isOver = true;
    this.wake();
    if (this.confirmed === null) return;
    const { subscriber } = this;
    const operation = trackIO('redis', { label: `unsubscribe ${this.channels.join(' ')}` });
    try {
      await protect(() => subscriber.remove(this as unknown as Subscription), { grace: CLEANUP });
    } finally {
      operation.end();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  deliver(channel: string, pattern: string | null, bytes: Buffer): void {
    const message = (this.binary ? bytes : bytes.toString()) as M;
    if (this.messages >= this.limit && !this.makeRoom()) return;
    this.messages++;
    this.push({ channel, pattern, message });
  }

  /** @internal */
  tell(gap: Gap): void {
    if (this.items.at(-1)?.gap !== gap.gap) this.push(gap);
  }

  /** @internal */
  fail(error: Error): void {
    this.error ??= error;
    this.wake();
  }

  /** The marker of an overflow stands where the messages are missing: first if they are the oldest, last if the newest. */
  private makeRoom(): boolean {
    if (this.overflow === 'error') {
      this.fail(
        new Error(
          `More than ${this.limit} messages wait for the loop over ${this.channels.join(', ')}: it is too slow`,
        ),
      );
      return false;
    }
    if (this.overflow === 'drop-newest') {
      const last = this.items.at(-1);
      if (last?.gap === 'overflow') this.items[this.items.length - 1] = missing(last);
      else this.items.push(missing(null));
      return false;
    }
    this.items.splice(
      this.items.findIndex((item) => item.gap === undefined),
      1,
    );
    this.messages--;
    const first = this.items[0];
    if (first?.gap === 'overflow') this.items[0] = missing(first);
    else this.items.unshift(missing(null));
    return true;
  }

  private push(item: Message<M> | Gap): void {
    if (this.isOver) return;
    this.items.push(item);
    this.wake();
  }

  private async nextArrival(): Promise<void> {
    const operation = trackIO('redis', {
      label: `listen ${this.channels.join(' ')}`,
      open: true,
      fence: () => this.subscriber.fence(),
    });
    this.arrival = new Future();
    try {
      await this.arrival;
    } finally {
      this.arrival = null;
      operation.end();
    }
  }

  private wake(): void {
    const { arrival } = this;
    if (arrival !== null && !arrival.done()) arrival.setResult();
  }
}

function missing(before: Gap | null): Gap {
  return { gap: 'overflow', dropped: (before?.dropped ?? 0) + 1 };
}
