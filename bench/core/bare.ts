/** What core is measured against: bare promises with one `AsyncLocalStorage.run` per task, as a careful hand would write it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Competitor, times } from './workloads.ts';

const context = new AsyncLocalStorage<object>();
const task = <T>(fn: () => Promise<T>): Promise<T> => context.run({}, fn);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export const bare: Competitor = {
  async 'spawn + join, 1,000 at once'() {
    for (const each of times(1000).map(() => task(async () => 1))) await each;
  },
  async 'spawn + join, one after another'() {
    for (let i = 0; i < 1000; i++) await task(async () => 1);
  },
  async 'yield, 100 tasks'() {
    const body = async () => {
      for (let i = 0; i < 10; i++) await turn();
    };
    for (const each of times(100).map(() => task(body))) await each;
  },
  async 'cancel + join with finally'() {
    let cleaned = 0;
    const tasks = times(1000).map(() => {
      const controller = new AbortController();
      const body = async () => {
        try {
          await abortableSleep(1e6, controller.signal);
        } finally {
          cleaned++;
        }
      };
      return { controller, done: task(body).catch(() => {}) };
    });
    await turn();
    for (const { controller } of tasks) controller.abort();
    for (const { done } of tasks) await done;
    return cleaned;
  },
  async 'timeout scope'() {
    for (let i = 0; i < 1000; i++) await withTimeout(1000, () => task(async () => 1));
  },
  async 'queue of 10, bounded'() {
    const queue = new BareQueue<number>(10);
    const producer = task(async () => {
      for (let i = 0; i < 1000; i++) await queue.put(i);
    });
    for (let i = 0; i < 1000; i++) await queue.get();
    await producer;
  },
  async 'lock, 10 contenders'() {
    const lock = new BareLock();
    const body = async () => {
      for (let i = 0; i < 100; i++) {
        await lock.acquire();
        await null;
        lock.release();
      }
    };
    for (const each of times(10).map(() => task(body))) await each;
  },
  async 'gather of 10'() {
    for (let i = 0; i < 100; i++) await Promise.all(times(10).map(() => task(async () => 1)));
  },
};

function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}

async function withTimeout<T>(ms: number, body: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), ms);
  });
  try {
    return await Promise.race([body(), late]);
  } finally {
    clearTimeout(timer);
  }
}

class BareLock {
  private held = false;
  private readonly waiting: (() => void)[] = [];

  async acquire(): Promise<void> {
    if (this.held) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.held = true;
  }

  release(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.held = false;
    else next();
  }
}

class BareQueue<T> {
  private readonly items: T[] = [];
  private readonly getters: (() => void)[] = [];
  private readonly putters: (() => void)[] = [];
  private readonly max: number;

  constructor(max: number) {
    this.max = max;
  }

  async put(item: T): Promise<void> {
    while (this.items.length >= this.max) await new Promise<void>((resolve) => this.putters.push(resolve));
    this.items.push(item);
    this.getters.shift()?.();
  }

  async get(): Promise<T> {
    while (this.items.length === 0) await new Promise<void>((resolve) => this.getters.push(resolve));
    const item = this.items.shift() as T;
    this.putters.shift()?.();
    return item;
  }
}
