import { all, createQueue, ensure, type Operation, run, sleep, spawn, until, withResolvers } from 'effection';
import { type Competitor, times } from './workloads.ts';

const bench =
  (body: () => Operation<unknown>): (() => Promise<unknown>) =>
  () =>
    Promise.resolve(run(body));
const one = function* (): Operation<number> {
  return yield* until(Promise.resolve(1));
};

export const effection: Competitor = {
  'spawn + join, 1,000 at once': bench(function* () {
    const tasks = [];
    for (let i = 0; i < 1000; i++) tasks.push(yield* spawn(one));
    for (const task of tasks) yield* task;
  }),
  'spawn + join, one after another': bench(function* () {
    for (let i = 0; i < 1000; i++) yield* yield* spawn(one);
  }),
  'yield, 100 tasks': bench(function* () {
    const body = function* (): Operation<void> {
      for (let i = 0; i < 10; i++) yield* until(new Promise<void>((resolve) => setImmediate(resolve)));
    };
    const tasks = [];
    for (let i = 0; i < 100; i++) tasks.push(yield* spawn(body));
    for (const task of tasks) yield* task;
  }),
  'cancel + join with finally': bench(function* () {
    let cleaned = 0;
    const body = function* (): Operation<void> {
      yield* ensure(() => {
        cleaned++;
      });
      yield* sleep(1e6);
    };
    const tasks = [];
    for (let i = 0; i < 1000; i++) tasks.push(yield* spawn(body));
    yield* until(new Promise<void>((resolve) => setImmediate(resolve)));
    for (const task of tasks) yield* until(task.halt());
    return cleaned;
  }),
  /** It has no timeout of its own: what its users write. */
  'timeout scope': bench(function* () {
    for (let i = 0; i < 1000; i++) {
      const timer = yield* spawn(() => sleep(1000));
      yield* one();
      yield* until(timer.halt());
    }
  }),
  'queue of 10, bounded': bench(function* () {
    const queue = createQueue<number, void>(); // It has no bounded one.
    for (let i = 0; i < 1000; i++) queue.add(i);
    for (let i = 0; i < 1000; i++) yield* queue.next();
  }),
  'lock, 10 contenders': bench(function* () {
    const lock = new Lock();
    const body = function* (): Operation<void> {
      for (let i = 0; i < 100; i++) {
        yield* lock.acquire();
        yield* until(Promise.resolve());
        lock.release();
      }
    };
    const tasks = [];
    for (const _ of times(10)) tasks.push(yield* spawn(body));
    for (const task of tasks) yield* task;
  }),
  'gather of 10': bench(function* () {
    for (let i = 0; i < 100; i++) yield* all(times(10).map(() => one()));
  }),
};

/** It has no lock: the smallest one on its own terms. */
class Lock {
  private held = false;
  private readonly waiting: (() => void)[] = [];

  *acquire(): Operation<void> {
    if (this.held) {
      const { operation, resolve } = withResolvers<void>();
      this.waiting.push(resolve);
      yield* operation;
    }
    this.held = true;
  }

  release(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.held = false;
    else next();
  }
}
