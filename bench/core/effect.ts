import { Effect, Fiber, Queue, Semaphore } from 'effect';
import { type Competitor, times } from './workloads.ts';

const one = Effect.promise(async () => 1);
const run =
  <A, E>(effect: Effect.Effect<A, E>): (() => Promise<A>) =>
  () =>
    Effect.runPromise(effect);

export const effect: Competitor = {
  'spawn + join, 1,000 at once': run(
    Effect.gen(function* () {
      const fibers = [];
      for (let i = 0; i < 1000; i++) fibers.push(yield* Effect.forkChild(one));
      for (const fiber of fibers) yield* Fiber.join(fiber);
    }),
  ),
  'spawn + join, one after another': run(
    Effect.gen(function* () {
      for (let i = 0; i < 1000; i++) yield* Fiber.join(yield* Effect.forkChild(one));
    }),
  ),
  'yield, 100 tasks': run(
    Effect.gen(function* () {
      const body = Effect.gen(function* () {
        for (let i = 0; i < 10; i++) yield* Effect.yieldNow;
      });
      const fibers = [];
      for (let i = 0; i < 100; i++) fibers.push(yield* Effect.forkChild(body));
      for (const fiber of fibers) yield* Fiber.join(fiber);
    }),
  ),
  'cancel + join with finally': run(
    Effect.gen(function* () {
      let cleaned = 0;
      const body = Effect.ensuring(
        Effect.sleep(1e6),
        Effect.sync(() => cleaned++),
      );
      const fibers = [];
      for (let i = 0; i < 1000; i++) fibers.push(yield* Effect.forkChild(body));
      yield* Effect.yieldNow;
      yield* Fiber.interruptAll(fibers);
      return cleaned;
    }),
  ),
  'timeout scope': run(
    Effect.gen(function* () {
      for (let i = 0; i < 1000; i++) yield* Effect.timeout(one, 1000);
    }),
  ),
  'queue of 10, bounded': run(
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<number>(10);
      const producer = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let i = 0; i < 1000; i++) yield* Queue.offer(queue, i);
        }),
      );
      for (let i = 0; i < 1000; i++) yield* Queue.take(queue);
      yield* Fiber.join(producer);
    }),
  ),
  'lock, 10 contenders': run(
    Effect.gen(function* () {
      const lock = yield* Semaphore.make(1);
      const step = Semaphore.withPermits(lock, 1)(Effect.promise(async () => null));
      const body = Effect.gen(function* () {
        for (let i = 0; i < 100; i++) yield* step;
      });
      const fibers = [];
      for (const _ of times(10)) fibers.push(yield* Effect.forkChild(body));
      for (const fiber of fibers) yield* Fiber.join(fiber);
    }),
  ),
  'gather of 10': run(
    Effect.gen(function* () {
      for (let i = 0; i < 100; i++)
        yield* Effect.all(
          times(10).map(() => one),
          { concurrency: 'unbounded' },
        );
    }),
  ),
};
