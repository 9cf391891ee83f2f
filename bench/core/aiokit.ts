import { createTask, gather, Lock, Queue, sleep, timeout } from '@aiokit/core';
import { type Competitor, times } from './workloads.ts';

export const aiokit: Competitor = {
  async 'spawn + join, 1,000 at once'() {
    for (const each of times(1000).map(() => createTask(async () => 1))) await each;
  },
  async 'spawn + join, one after another'() {
    for (let i = 0; i < 1000; i++) await createTask(async () => 1);
  },
  async 'yield, 100 tasks'() {
    const body = async () => {
      for (let i = 0; i < 10; i++) await sleep(0);
    };
    for (const each of times(100).map(() => createTask(body))) await each;
  },
  async 'cancel + join with finally'() {
    let cleaned = 0;
    const body = async () => {
      try {
        await sleep(1e6);
      } finally {
        cleaned++;
      }
    };
    const tasks = times(1000).map(() => createTask(body));
    await sleep(0);
    for (const task of tasks) task.cancel();
    for (const task of tasks) await task.catch(() => {});
    return cleaned;
  },
  async 'timeout scope'() {
    for (let i = 0; i < 1000; i++) await timeout(1000, async () => 1);
  },
  async 'queue of 10, bounded'() {
    const queue = new Queue<number>(10);
    const producer = createTask(async () => {
      for (let i = 0; i < 1000; i++) await queue.put(i);
    });
    for (let i = 0; i < 1000; i++) await queue.get();
    await producer;
  },
  async 'lock, 10 contenders'() {
    const lock = new Lock();
    const body = async () => {
      for (let i = 0; i < 100; i++) {
        await lock.acquire();
        await null;
        lock.release();
      }
    };
    for (const each of times(10).map(() => createTask(body))) await each;
  },
  async 'gather of 10'() {
    for (let i = 0; i < 100; i++) await gather(times(10).map(() => async () => 1));
  },
};
