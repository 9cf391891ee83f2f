/** Ten bugs that the usual order hides, for explore() to find. */
import {
  createTask,
  Event,
  gather,
  Lock,
  Queue,
  Semaphore,
  sleep,
  type Task,
  TimeoutError,
  timeout,
} from '@aiokit/core';
import { expect } from 'vitest';

export interface SeededBug {
  readonly name: string;
  /** Found within so many runs. */
  readonly within: number;
  readonly body: () => Promise<void>;
}

export const seededBugs: SeededBug[] = [
  {
    name: 'a lost update: the second reads before the first has written, if it is woken in between',
    within: 20,
    async body() {
      let balance = 100;
      const deposit = async () => {
        const before = balance;
        await sleep(10);
        balance = before + 10;
      };
      // The second reads at the instant at which the first writes.
      await gather([deposit, () => at(10, deposit)]);
      expect(balance).toBe(120);
    },
  },
  {
    name: 'a double release: two paths release one permit',
    within: 20,
    async body() {
      const semaphore = new Semaphore(0);
      let released = false;
      const release = async () => {
        if (released) return;
        await sleep(1);
        released = true;
        semaphore.release();
      };
      await gather([release, () => at(1, release)]);
      await semaphore.acquire();
      expect(semaphore.locked()).toBe(true);
    },
  },
  {
    name: 'check, then act: two tasks see that nobody has made the connection',
    within: 20,
    async body() {
      let made = 0;
      let connection: string | null = null;
      const connect = async () => {
        if (connection !== null) return connection;
        await sleep(5);
        made++;
        connection = `connection ${made}`;
        return connection;
      };
      await gather([() => connect(), () => at(5, connect)]);
      expect(made).toBe(1);
    },
  },
  {
    name: 'a cancel between two steps: the money has left and never arrives',
    within: 20,
    async body() {
      const accounts = { from: 1, to: 0 };
      let started = false;
      const transfer = createTask(async () => {
        await sleep(10);
        started = true;
        accounts.from--;
        await sleep(5);
        accounts.to++;
      });
      const impatient = createTask(() => at(10, async () => started || transfer.cancel()));
      await gather([transfer, impatient], { returnExceptions: true });
      expect(accounts.from + accounts.to).toBe(1);
    },
  },
  {
    name: 'a deadlock: two locks taken in opposite orders',
    within: 20,
    async body() {
      const [first, second] = [new Lock(), new Lock()];
      const both = async (one: Lock, other: Lock) => {
        using _one = await one.acquire();
        await sleep(5);
        using _other = await other.acquire();
      };
      // The second starts at the instant at which the first has both.
      await gather([() => both(first, second), () => at(5, () => both(second, first))]);
    },
  },
  {
    name: 'a lost wake-up: the event is set and cleared before the other waits',
    within: 20,
    async body() {
      const event = new Event();
      const waiter = async () => {
        await sleep(10);
        await event.wait();
      };
      const setter = async () => {
        event.set();
        event.clear();
      };
      await gather([waiter, () => at(10, setter)]);
    },
  },
  {
    name: 'an order taken for granted: the reader starts before what it reads is there',
    within: 20,
    async body() {
      let config: { url: string } | null = null;
      const writer = createTask(() => {
        config = { url: 'redis://' };
      });
      const reader = createTask(() => (config as { url: string } | null)?.url);
      await writer;
      expect(await reader).toBe('redis://');
    },
  },
  {
    name: 'a result that comes at the very deadline: timeout and answer in one instant',
    within: 20,
    async body() {
      const charges: string[] = [];
      const charge = async (attempt: string) => {
        await sleep(100);
        charges.push(attempt);
      };
      const task: Task<void> = createTask(() => charge('first'));
      await sleep(0);
      try {
        await timeout(100, () => task);
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        await charge('second');
      }
      expect(charges).toEqual(['first']);
    },
  },
  {
    name: 'an end mark that overtakes the last item',
    within: 20,
    async body() {
      const queue = new Queue<number | null>();
      const done: number[] = [];
      const consumer = async () => {
        for (let item = await queue.get(); item !== null; item = await queue.get()) done.push(item);
      };
      const producer = async () => {
        await sleep(10);
        queue.putNowait(1);
      };
      await gather([consumer, producer, () => at(10, async () => queue.putNowait(null))]);
      expect(done).toEqual([1]);
    },
  },
  {
    name: 'a stale cache: the answer of the older request is stored last',
    within: 20,
    async body() {
      let shown = '';
      let version = 0;
      const refresh = async () => {
        const mine = ++version;
        await sleep(50);
        shown = `version ${mine}`;
      };
      await gather([refresh, refresh, refresh]);
      expect(shown).toBe('version 3');
    },
  },
];

/** Runs `fn` at `ms`, by a timer that is set after all others for that instant: last in the usual order. */
async function at<R>(ms: number, fn: () => Promise<R>): Promise<R> {
  await sleep(ms - 0.5);
  await sleep(0.5);
  return fn();
}
