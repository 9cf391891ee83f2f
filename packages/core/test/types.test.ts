/** What TypeScript infers: checked by tsc (`npm run types`); at run time only the runtime halves run. */
import {
  abortable,
  asCompleted,
  type CancelledError,
  type Completed,
  createTask,
  currentTask,
  detached,
  Future,
  type Guard,
  gather,
  getRunningLoop,
  Lock,
  PriorityQueue,
  protect,
  Queue,
  Runner,
  race,
  run,
  type Settled,
  shared,
  shield,
  sleep,
  type Task,
  taskGroup,
  timeout,
  until,
  wait,
  waitFor,
  withSignal,
} from '@aiokit/core';
import { describe, expectTypeOf, it } from 'vitest';

declare const text: () => Promise<string>;
declare const number: () => number;
declare const either: () => number | Promise<number>;
declare const many: (() => Promise<string>)[];
declare const mixed: ((() => Promise<string>) | Task<number>)[];
declare const asyncMany: AsyncIterable<() => Promise<boolean>>;

/** A function that is type-checked and never called. */
const typed = (_check: () => unknown): void => {};

describe('types', () => {
  it('a task has the type of what its function gives, awaited', () => {
    typed(() => {
      expectTypeOf(createTask(text)).toEqualTypeOf<Task<string>>();
      expectTypeOf(createTask(number)).toEqualTypeOf<Task<number>>();
      expectTypeOf(createTask(either)).toEqualTypeOf<Task<number>>();
      expectTypeOf(createTask(() => createTask(text))).toEqualTypeOf<Task<string>>();
      expectTypeOf(createTask(() => (currentTask() ? number() : sleep(1, 'x')))).toEqualTypeOf<Task<string | number>>();
      expectTypeOf(createTask(() => {})).toEqualTypeOf<Task<void>>();
      expectTypeOf(getRunningLoop().createTask(text)).toEqualTypeOf<Task<string>>();
    });
  });

  it('run, Runner, timeout, taskGroup, protect, withSignal and detached have the type of their body', () => {
    typed(() => {
      expectTypeOf(run(text)).toEqualTypeOf<Promise<string>>();
      expectTypeOf(new Runner().run(either)).toEqualTypeOf<Promise<number>>();
      expectTypeOf(timeout(1, text)).toEqualTypeOf<Promise<string>>();
      expectTypeOf(timeout(null, (t) => t.when())).toEqualTypeOf<Promise<number | null>>();
      expectTypeOf(taskGroup((group) => group.createTask(text))).toEqualTypeOf<Promise<string>>();
      expectTypeOf(taskGroup(async () => [1, 'a'] as const)).toEqualTypeOf<Promise<readonly [1, 'a']>>();
      expectTypeOf(protect(either)).toEqualTypeOf<Promise<number>>();
      expectTypeOf(withSignal(new AbortController().signal, text)).toEqualTypeOf<Promise<string>>();
      expectTypeOf(detached(number)).toEqualTypeOf<number>();
    });
  });

  it('gather keeps tuples', () => {
    typed(() => {
      expectTypeOf(gather([text, number, createTask(either)])).toEqualTypeOf<Future<[string, number, number]>>();
      expectTypeOf(gather([text, Promise.resolve(true)], { returnExceptions: true })).toEqualTypeOf<
        Future<[string | Error, boolean | Error]>
      >();
      expectTypeOf(gather([text, number], { limit: 2 })).toEqualTypeOf<Future<[string, number]>>();
    });
  });

  it('gather of an array or iterable gives an array', () => {
    typed(async () => {
      expectTypeOf(await gather(many)).toEqualTypeOf<string[]>();
      expectTypeOf(await gather(mixed)).toEqualTypeOf<(string | number)[]>();
      expectTypeOf(await gather(new Set(many))).toEqualTypeOf<string[]>();
      expectTypeOf(await gather(asyncMany, { limit: 5 })).toEqualTypeOf<boolean[]>();
      expectTypeOf(await gather(new Set(many), { returnExceptions: true })).toEqualTypeOf<(string | Error)[]>();
    });
  });

  it('asCompleted gives the union of what its items give', () => {
    typed(async () => {
      for await (const value of asCompleted([text, number])) expectTypeOf(value).toEqualTypeOf<string | number>();
      for await (const value of asCompleted(asyncMany, { limit: 2 })) expectTypeOf(value).toEqualTypeOf<boolean>();
      for await (const outcome of asCompleted([text, number], { settled: true })) {
        expectTypeOf(outcome).toEqualTypeOf<Settled<string | number>>();
        if (outcome.status === 'fulfilled') expectTypeOf(outcome.value).toEqualTypeOf<string | number>();
        else expectTypeOf(outcome.reason).toBeUnknown();
      }
      for (const future of asCompleted([text, number])) expectTypeOf(future).toEqualTypeOf<Future<string | number>>();
      expectTypeOf(asCompleted([text])).toEqualTypeOf<Completed<string, string>>();
    });
  });

  it('wait keeps the identity of tasks in its sets', () => {
    typed(async () => {
      const { done, pending } = await wait([createTask(text), new Future<number>()]);
      expectTypeOf(done).toEqualTypeOf<Set<Task<string> | Future<number>>>();
      expectTypeOf(pending).toEqualTypeOf<Set<Task<string> | Future<number>>>();
      const named = await wait([createTask(text)]);
      for (const task of named.done) expectTypeOf(task.name).toBeString();
    });
  });

  it('waitFor, shield, race, shared, until and abortable pass types through', () => {
    typed(() => {
      expectTypeOf(waitFor(text, 5)).toEqualTypeOf<Promise<string>>();
      expectTypeOf(waitFor(createTask(number), null)).toEqualTypeOf<Promise<number>>();
      expectTypeOf(shield(text)).toEqualTypeOf<Future<string>>();
      expectTypeOf(race([text, number])).toEqualTypeOf<Future<string | number>>();
      expectTypeOf(shared(async (id: number, name?: string) => ({ id, name }))).toEqualTypeOf<
        (id: number, name?: string) => Future<{ id: number; name: string | undefined }>
      >();
      expectTypeOf(until(Promise.resolve(1))).toEqualTypeOf<Future<number>>();
      expectTypeOf(abortable((signal) => fetch('', { signal }))).toEqualTypeOf<Future<Response>>();
    });
  });

  it('sleep, queues, locks and groups are typed', () => {
    typed(async () => {
      expectTypeOf(sleep(1)).toEqualTypeOf<Future<void>>();
      expectTypeOf(sleep(1, 'x')).toEqualTypeOf<Future<string>>();
      expectTypeOf(await new Queue<number>().get()).toBeNumber();
      for await (const item of new PriorityQueue<[number, string]>())
        expectTypeOf(item).toEqualTypeOf<[number, string]>();
      expectTypeOf(await new Lock().acquire()).toEqualTypeOf<Guard>();
      await taskGroup(async (group) => {
        expectTypeOf(await group.start<number>((started) => started(1))).toBeNumber();
        expectTypeOf(group.createTask(either)).toEqualTypeOf<Task<number>>();
      });
    });
  });

  it('what is wrong does not compile', () => {
    typed(() => {
      // @ts-expect-error a promise is already running
      createTask(Promise.resolve(1));
      // @ts-expect-error a value is no work
      void gather([1, 2]);
      // @ts-expect-error wait hands back what it was given: functions have no identity to hand back
      void wait([text]);
      // @ts-expect-error milliseconds are a number
      void sleep('1s');
      // @ts-expect-error an async iterable is pulled one by one, so asCompleted needs items
      void asCompleted(5);
      // @ts-expect-error a task's result is what its function returns
      createTask(number).setResult(1).toFixed();
      const future = new Future<number>();
      // @ts-expect-error the wrong type of result
      future.setResult('x');
      expectTypeOf<CancelledError['code']>().toEqualTypeOf<'ABORT_ERR'>();
      expectTypeOf<CancelledError['reason']>().toBeUnknown();
    });
  });
});
