import { checkFunction, checkInteger } from './check.ts';
import { InvalidStateError, QueueEmpty, QueueFull, QueueShutDown } from './errors.ts';
import { Fifo } from './fifo.ts';
import { FAILED } from './future.ts';
import { afterTurn, failed, Line, mayAnswer } from './line.ts';

/** What `statistics()` of a queue tells. */
export interface QueueStatistics {
  readonly size: number;
  readonly maxSize: number;
  /** How many `get()`s wait for an item. */
  readonly gettersWaiting: number;
  /** How many `put()`s wait for room. */
  readonly puttersWaiting: number;
  /** How many items were put and not yet reported by `taskDone()`. */
  readonly unfinished: number;
}

/** Where the items are kept: this decides their order. */
interface Store<T> {
  readonly length: number;
  add(item: T): void;
  take(): T;
  clear(): void;
}

/**
 * A queue between tasks, first in, first out. With a `maxSize`, `put` waits for room: that is backpressure.
 *
 * An item goes to the first `get()` in line. No cancel loses one: a cancelled `put()` has not put, a cancelled `get()` has not
 * taken; an item that was already handed over is delivered, and the cancel waits for the next `await`.
 *
 * `for await (const item of queue)` takes items until the queue is shut down.
 *
 * @example
 * ```ts
 * const queue = new Queue<number>(10);
 * await queue.put(1);
 * console.log(await queue.get()); // => 1
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-queue.html#asyncio.Queue
 */
export class Queue<T> implements AsyncIterable<T> {
  /** How many items it holds at most; `Infinity` if it is not bounded. */
  readonly maxSize: number;
  protected readonly store: Store<T>;
  private readonly getters = new Line<T>();
  private readonly putters = new Line<void, T>();
  private readonly joiners = new Line<void>();
  private unfinished = 0;
  private isShutDown = false;

  /** @param maxSize how many items it holds; 0 (the default) and `Infinity` for any number. */
  constructor(maxSize = 0) {
    checkInteger(maxSize, 'maxSize', 0);
    this.maxSize = maxSize === 0 ? Infinity : maxSize;
    this.store = this.makeStore();
  }

  protected makeStore(): Store<T> {
    return new FifoStore();
  }

  qsize(): number {
    return this.store.length;
  }

  empty(): boolean {
    return this.store.length === 0;
  }

  full(): boolean {
    return this.store.length >= this.maxSize;
  }

  /**
   * Puts an item, waiting for room if there is none.
   *
   * @throws {@link QueueShutDown}
   */
  put(item: T): Promise<void> {
    if (this.isShutDown) return failed(shutDown('put'));
    if (this.full()) return this.putters.join(item, 'Queue.put');
    if (!mayAnswer()) return afterTurn(() => this.put(item));
    this.add(item);
    return Promise.resolve();
  }

  /** @throws {@link QueueFull}, {@link QueueShutDown} */
  putNowait(item: T): void {
    if (this.isShutDown) throw shutDown('put');
    if (this.full()) throw new QueueFull(`the queue holds ${this.maxSize} items already`);
    this.add(item);
  }

  /**
   * Takes the next item, waiting for one if there is none.
   *
   * @throws {@link QueueShutDown} once the queue is shut down and empty.
   */
  get(): Promise<T> {
    if (this.empty()) {
      if (this.isShutDown) return failed(shutDown('get'));
      return this.getters.join(undefined, 'Queue.get');
    }
    return mayAnswer() ? Promise.resolve(this.getNowait()) : afterTurn(() => this.get());
  }

  /** @throws {@link QueueEmpty}, {@link QueueShutDown} */
  getNowait(): T {
    if (this.empty()) {
      if (this.isShutDown) throw shutDown('get');
      throw new QueueEmpty('the queue is empty');
    }
    const item = this.store.take();
    const putter = this.putters.shift();
    if (putter !== null) {
      this.add(putter.data);
      putter.serve();
    }
    return item;
  }

  /**
   * Says that an item that was taken is worked off: `join()` waits for this.
   *
   * @throws {@link InvalidStateError} if called more often than items were put.
   */
  taskDone(): void {
    if (this.unfinished === 0) throw new InvalidStateError('taskDone() called more often than items were put');
    this.finish(1);
  }

  /** Waits until every item that was put has been taken and reported by `taskDone()`. */
  join(): Promise<void> {
    return this.unfinished === 0 ? Promise.resolve() : this.joiners.join(undefined, 'Queue.join');
  }

  /**
   * Ends the queue: every `put` throws {@link QueueShutDown}, those that wait too; `get` does once the queue is empty.
   *
   * @param immediate drop the items that are left, as if they were done.
   */
  shutdown(immediate = false): void {
    this.isShutDown = true;
    if (immediate) {
      const dropped = this.store.length;
      this.store.clear();
      this.finish(Math.min(dropped, this.unfinished));
    }
    for (let put = this.putters.shift(); put !== null; put = this.putters.shift()) put._finish(FAILED, shutDown('put'));
    if (!this.empty()) return;
    for (let get = this.getters.shift(); get !== null; get = this.getters.shift()) get._finish(FAILED, shutDown('get'));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      let item: T;
      try {
        item = await this.get();
      } catch (error) {
        if (error instanceof QueueShutDown) return;
        throw error;
      }
      yield item;
    }
  }

  statistics(): QueueStatistics {
    return Object.freeze({
      size: this.store.length,
      maxSize: this.maxSize,
      gettersWaiting: this.getters.length,
      puttersWaiting: this.putters.length,
      unfinished: this.unfinished,
    });
  }

  private add(item: T): void {
    this.unfinished++;
    this.store.add(item);
    this.getters.shift()?.serve(this.store.take());
  }

  private finish(count: number): void {
    if (count === 0) return;
    this.unfinished -= count;
    if (this.unfinished > 0) return;
    for (let place = this.joiners.shift(); place !== null; place = this.joiners.shift()) place.serve();
  }
}

/**
 * A queue that gives the newest item first.
 *
 * @see https://docs.python.org/3/library/asyncio-queue.html#asyncio.LifoQueue
 */
export class LifoQueue<T> extends Queue<T> {
  protected override makeStore(): Store<T> {
    return new LifoStore();
  }
}

/**
 * A queue that gives the smallest item first; of equal ones, the oldest.
 *
 * @see https://docs.python.org/3/library/asyncio-queue.html#asyncio.PriorityQueue
 */
export class PriorityQueue<T> extends Queue<T> {
  /**
   * @param compare as for `Array.prototype.sort`. Default: by `<`; of arrays, element by element, so that
   * `[priority, item]` works as in Python.
   */
  constructor(maxSize = 0, compare: (a: T, b: T) => number = byValue) {
    checkFunction(compare, 'compare');
    super(maxSize);
    (this.store as HeapStore<T>).compare = compare;
  }

  protected override makeStore(): Store<T> {
    return new HeapStore();
  }
}

class FifoStore<T> implements Store<T> {
  private items = new Fifo<T>();

  get length(): number {
    return this.items.length;
  }
  add(item: T): void {
    this.items.push(item);
  }
  take(): T {
    return this.items.shift() as T;
  }
  clear(): void {
    this.items = new Fifo();
  }
}

class LifoStore<T> implements Store<T> {
  private readonly items: T[] = [];

  get length(): number {
    return this.items.length;
  }
  add(item: T): void {
    this.items.push(item);
  }
  take(): T {
    return this.items.pop() as T;
  }
  clear(): void {
    this.items.length = 0;
  }
}

/** A binary heap; the serial number keeps equal items in order. */
class HeapStore<T> implements Store<T> {
  compare: (a: T, b: T) => number = byValue;
  private entries: { item: T; serial: number }[] = [];
  private serial = 0;

  get length(): number {
    return this.entries.length;
  }

  add(item: T): void {
    const { entries } = this;
    let i = entries.push({ item, serial: this.serial++ }) - 1;
    while (i > 0 && this.isBefore(i, (i - 1) >> 1)) {
      this.swap(i, (i - 1) >> 1);
      i = (i - 1) >> 1;
    }
  }

  take(): T {
    const { entries } = this;
    this.swap(0, entries.length - 1);
    const { item } = entries.pop() as { item: T };
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < entries.length && this.isBefore(child, least)) least = child;
      if (least === i) return item;
      this.swap(i, least);
      i = least;
    }
  }

  clear(): void {
    this.entries = [];
  }

  private isBefore(i: number, j: number): boolean {
    const a = this.entries[i] as { item: T; serial: number };
    const b = this.entries[j] as { item: T; serial: number };
    const order = this.compare(a.item, b.item);
    return order < 0 || (order === 0 && a.serial < b.serial);
  }

  private swap(i: number, j: number): void {
    const a = this.entries[i] as { item: T; serial: number };
    this.entries[i] = this.entries[j] as { item: T; serial: number };
    this.entries[j] = a;
  }
}

function shutDown(method: string): QueueShutDown {
  return new QueueShutDown(`${method}() on a queue that was shut down`);
}

function byValue(a: unknown, b: unknown): number {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = byValue(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  return (a as number) < (b as number) ? -1 : (b as number) < (a as number) ? 1 : 0;
}
