/**
 * A consumer of a stream's group: reads, runs handlers, acknowledges, takes over what others left behind.
 *
 * Nothing is lost: an entry stays pending on the server until it was acknowledged, and a cancel that meets entries on their
 * way leaves them pending, to be claimed by whoever is there. Nothing is acknowledged that was not handled. An entry may
 * be handled twice (its consumer died between the work and the XACK): handlers are to be idempotent.
 */
import {
  createTask,
  detached,
  type Guard,
  getRunningLoop,
  protect,
  rethrowCancelled,
  Semaphore,
  sleep,
  type Task,
} from '@aiokit/core';
import { checkCount, checkMs, checkName } from './check.ts';

export interface ConsumeOptions {
  /** How many handlers run at once; for a loop, how many entries are read ahead. Default: 10. */
  limit?: number;
  /** Where a new group begins: `'0'` for all that the stream has, `'$'` for what comes from now on. Default: `'0'`. */
  start?: string;
  /** Entries that nobody has worked on for so many ms are taken over; a running handler counts as work. Default: 60,000. */
  minIdle?: number;
  /** After so many deliveries an entry goes to the dead letters instead. Default: no limit. */
  maxDeliveries?: number;
  /** The stream of the dead letters. Default: the stream's name and `:dead`. */
  deadLetter?: string;
  /** After a cancel, how many ms the running handlers have to end; then they are cancelled. Default: 10,000. */
  drain?: number;
  /** Told of each error of a handler; the entry stays pending and is delivered again. Default: the loop's exception handler. */
  onError?: (error: unknown, entry: StreamEntry) => void;
}

/** One entry of a stream, as it was delivered to this consumer. */
export interface StreamEntry {
  readonly id: string;
  readonly stream: string;
  readonly fields: Readonly<Record<string, string>>;
  /** How often it has been delivered, this time included. */
  readonly deliveries: number;
  /** Acknowledges it; more than once does no harm. A handler that returns does it by itself. */
  ack(): Promise<void>;
}

export type StreamHandler = (entry: StreamEntry) => unknown;

/** The commands that it needs. */
interface StreamClient {
  xgroup(...args: (string | number)[]): Promise<unknown>;
  xreadgroup(...args: (string | number)[]): Promise<unknown>;
  xautoclaim(...args: (string | number)[]): Promise<unknown>;
  xpending(...args: (string | number)[]): Promise<unknown>;
  xclaim(...args: (string | number)[]): Promise<unknown>;
  xack(stream: string, group: string, ...ids: string[]): Promise<number>;
  multi(): {
    xadd(...args: (string | number)[]): { xack(...args: string[]): { exec(): Promise<unknown> } };
  };
}

type RawEntry = [id: string, fields: string[] | null];

/** An XACK or the last handlers may take so many ms after a cancel. */
const CLEANUP = 2_000;

export class StreamConsumer {
  private readonly client: StreamClient;
  private readonly stream: string;
  private readonly group: string;
  private readonly consumer: string;
  private readonly options: Required<Omit<ConsumeOptions, 'onError'>> & Pick<ConsumeOptions, 'onError'>;
  /** The ids of entries that are being worked on. */
  private readonly working = new Set<string>();
  /** When to look for entries that were left behind, in ms of the loop's clock. */
  private nextClaim = -Infinity;

  constructor(client: StreamClient, stream: string, group: string, consumer: string, options: ConsumeOptions = {}) {
    const { limit = 10, start = '0', minIdle = 60_000, maxDeliveries = Infinity, drain = 10_000 } = options;
    const { deadLetter = `${stream}:dead`, onError } = options;
    checkName(stream, 'stream');
    checkName(group, 'group');
    checkName(consumer, 'consumer');
    checkCount(limit, 'options.limit', 1);
    checkMs(minIdle, 'options.minIdle', 1);
    checkCount(maxDeliveries, 'options.maxDeliveries', 1);
    checkMs(drain, 'options.drain');
    this.client = client;
    this.stream = stream;
    this.group = group;
    this.consumer = consumer;
    this.options = { limit, start, minIdle, maxDeliveries, drain, deadLetter, ...(onError && { onError }) };
  }

  /** Runs the handler for each entry until it is cancelled. */
  async run(handler: StreamHandler): Promise<never> {
    const { limit, drain } = this.options;
    const slots = new Semaphore(limit);
    const running = new Set<Task<void>>();
    const start = (entry: StreamEntry, slot: Guard) => {
      // They outlive the cancel of this task, for the time of the drain.
      const task = detached(() =>
        createTask(() => this.handle(entry, handler), { name: `${this.stream} ${entry.id}` }),
      );
      running.add(task);
      task.addDoneCallback(() => {
        running.delete(task);
        slot.release();
      });
    };
    const keeper = detached(() => createTask(() => this.keepAlive(), { name: `keep ${this.stream}` }));
    try {
      await this.makeGroup();
      for (;;) {
        const taken = await takeAll(slots);
        try {
          for (const entry of await this.next(taken.length)) start(entry, taken.pop() as Guard);
        } finally {
          for (const slot of taken) slot.release();
        }
      }
    } finally {
      await this.drain(running, drain);
      keeper.cancel();
    }
  }

  /** Entry by entry, to be acknowledged by the loop's body. */
  async *entries(): AsyncGenerator<StreamEntry, void, void> {
    await this.makeGroup();
    const keeper = detached(() => createTask(() => this.keepAlive(), { name: `keep ${this.stream}` }));
    try {
      for (;;) {
        const entries = await this.next(this.options.limit);
        for (const entry of entries) this.working.add(entry.id);
        for (const entry of entries) {
          yield entry;
          this.working.delete(entry.id);
        }
      }
    } finally {
      this.working.clear();
      keeper.cancel();
    }
  }

  /** At most so many entries, perhaps none: what others left behind, looked for now and then, or what is new. */
  private async next(count: number): Promise<StreamEntry[]> {
    const loop = getRunningLoop();
    if (loop.time() >= this.nextClaim) {
      const entries = await this.claim(count);
      if (entries.length < count) this.nextClaim = loop.time() + this.options.minIdle / 2;
      if (entries.length > 0) return entries;
    }
    return await this.readNew(count, Math.max(1, Math.ceil(this.nextClaim - loop.time())));
  }

  private async readNew(count: number, block: number): Promise<StreamEntry[]> {
    const { client, stream, group, consumer } = this;
    const args = ['GROUP', group, consumer, 'COUNT', count, 'BLOCK', block, 'STREAMS', stream, '>'];
    const reply = (await client.xreadgroup(...args)) as [string, RawEntry[]][] | Record<string, RawEntry[]> | null;
    // With `replyMapping: 'resp3'` ioredis 6 gives an object by stream.
    const [entries = []] = Array.isArray(reply) ? reply.map(([, each]) => each) : Object.values(reply ?? {});
    return entries.map((raw) => this.entry(raw, 1));
  }

  /** Takes over entries that nobody works on; those that were delivered too often become dead letters. */
  private async claim(count: number): Promise<StreamEntry[]> {
    const { client, stream, group, consumer, options } = this;
    const args = [stream, group, consumer, options.minIdle, '0', 'COUNT', count];
    const [, raw] = (await client.xautoclaim(...args)) as [string, RawEntry[]];
    const entries: StreamEntry[] = [];
    for (const each of raw) {
      if (!each?.[1]) continue; // Deleted from the stream meanwhile.
      const [id] = each;
      if (this.working.has(id)) continue;
      const [pending] = (await client.xpending(stream, group, id, id, 1)) as [string, string, number, number][];
      const deliveries = Number(pending?.[3] ?? 1);
      if (deliveries > options.maxDeliveries) await this.bury(each, deliveries - 1);
      else entries.push(this.entry(each, deliveries));
    }
    return entries;
  }

  private async bury([id, fields]: RawEntry, deliveries: number): Promise<void> {
    const { client, stream, group, options } = this;
    const about = ['stream', stream, 'group', group, 'id', id, 'deliveries', deliveries];
    const bury = () =>
      client
        .multi()
        .xadd(options.deadLetter, '*', ...about, ...(fields ?? []))
        .xack(stream, group, id)
        .exec();
    await protect(bury, { grace: CLEANUP });
  }

  private async handle(entry: StreamEntry, handler: StreamHandler): Promise<void> {
    this.working.add(entry.id);
    try {
      await handler(entry);
      await entry.ack();
    } catch (error) {
      rethrowCancelled(error);
      this.report(error, entry);
    } finally {
      this.working.delete(entry.id);
    }
  }

  private report(error: unknown, entry: StreamEntry): void {
    const { onError } = this.options;
    if (onError !== undefined) return onError(error, entry);
    const message = `The handler of ${this.stream} ${entry.id} (delivery ${entry.deliveries}) failed; the entry stays pending`;
    getRunningLoop().callExceptionHandler({ message, exception: error });
  }

  /** What is being worked on does not count as left behind, however long it takes. */
  private async keepAlive(): Promise<never> {
    const { client, stream, group, consumer, options, working } = this;
    for (;;) {
      await sleep(options.minIdle / 3);
      if (working.size === 0) continue;
      await client.xclaim(stream, group, consumer, 0, ...working, 'JUSTID').catch(rethrowCancelled);
    }
  }

  private async makeGroup(): Promise<void> {
    try {
      await this.client.xgroup('CREATE', this.stream, this.group, this.options.start, 'MKSTREAM');
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('BUSYGROUP')) throw error;
    }
  }

  private async drain(running: Set<Task<void>>, grace: number): Promise<void> {
    if (running.size === 0) return;
    const all = [...running];
    const ended = () => Promise.all(all.map((task) => task.then(ignore, ignore)));
    const timer = getRunningLoop().callLater(grace, () => {
      for (const task of all) task.cancel('The time to drain is over');
    });
    try {
      await protect(ended);
    } finally {
      timer.cancel();
    }
  }

  private entry([id, raw]: RawEntry, deliveries: number): StreamEntry {
    const { client, stream, group } = this;
    const fields: Record<string, string> = {};
    for (let i = 0; raw !== null && i + 1 < raw.length; i += 2) fields[raw[i] as string] = raw[i + 1] as string;
    return {
      id,
      stream,
      fields,
      deliveries,
      ack: async () => void (await protect(() => client.xack(stream, group, id), { grace: CLEANUP })),
    };
  }
}

/** Waits for one free slot and takes those that are free besides. */
async function takeAll(slots: Semaphore): Promise<Guard[]> {
  const taken = [await slots.acquire()];
  while (!slots.locked()) taken.push(await slots.acquire());
  return taken;
}

function ignore(): void {}
