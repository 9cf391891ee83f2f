/** The behaviours of CPython's Lib/test/test_asyncio/test_tasks.py, in our own words. */
import { getEventListeners } from 'node:events';
import {
  allTasks,
  CancelledError,
  createTask,
  currentTask,
  Future,
  InvalidStateError,
  isCancelled,
  sleep,
  Task,
  wait,
} from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { inVirtualTime, now, test } from './support/virtual.ts';

describe('a task', () => {
  test('starts later, in the order of creation', async () => {
    const order: string[] = [];
    const a = createTask(async () => void order.push('a'));
    const b = createTask(async () => void order.push('b'));
    order.push('created');
    await a;
    await b;
    expect(order).toEqual(['created', 'a', 'b']);
  });

  test('gives what its function returns, to everybody and as often as it is asked', async () => {
    const task = createTask(async () => sleep(10, 42));
    expect(await Promise.all([task, task])).toEqual([42, 42]);
    expect(await task).toBe(42);
    expect(task.result()).toBe(42);
    expect(task.exception()).toBeNull();
  });

  test('throws what its function throws, the very same error', async () => {
    const error = new Error('broken');
    const task = createTask(async () => {
      await sleep(1);
      throw error;
    });
    await expect(task).rejects.toBe(error);
    await expect(task).rejects.toBe(error);
    expect(task.exception()).toBe(error);
    expect(() => task.result()).toThrow(error);
  });

  test('runs a function that is not async', async () => {
    expect(await createTask(() => 1)).toBe(1);
    await expect(
      createTask(() => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
  });

  test('joins the task that its function returns', async () => {
    expect(await createTask(async () => createTask(() => 7))).toBe(7);
  });

  test('has the name it was given, or a number', async () => {
    const named = createTask(() => {}, { name: 'load' });
    const first = createTask(() => {});
    const second = createTask(() => {});
    expect(named.name).toBe('load');
    expect(first.name).toMatch(/^Task-\d+$/);
    expect(second.name).not.toBe(first.name);
    await wait([named, first, second]);
  });

  test('says what it is', async () => {
    const task = createTask(() => sleep(1), { name: 'load' });
    expect(task.describe()).toBe('Task load pending');
    expect(String(task)).toContain('Task');
    await task;
    expect(task.describe()).toBe('Task load done');
  });

  test('is a Future and a Promise', async () => {
    const task = createTask(() => {});
    expect(task).toBeInstanceOf(Task);
    expect(task).toBeInstanceOf(Future);
    expect(task).toBeInstanceOf(Promise);
    await task;
  });

  test('is the current task in its function, also after an await, in nested calls and in Promise.all', async () => {
    const seen = async () => {
      await sleep(1);
      return currentTask()?.name; // (The task itself would be awaited: an async function flattens it.)
    };
    const task = createTask(async () => [currentTask()?.name, ...(await Promise.all([seen(), seen()]))], {
      name: 'it',
    });
    expect(await task).toEqual(['it', 'it', 'it']);
    expect(currentTask()?.name).toBe('main');
  });

  test('is in allTasks until it is done', async () => {
    const task = createTask(() => sleep(1));
    expect(allTasks()).toContain(task);
    await task;
    expect(allTasks()).not.toContain(task);
    expect([...allTasks()]).toEqual([currentTask()]);
  });

  test('runs its first step at once when it is eager', async () => {
    const order: string[] = [];
    const outer = currentTask();
    const task = createTask(
      async () => {
        order.push(currentTask() === outer ? 'outer' : 'inner');
        await sleep(1);
        order.push('later');
      },
      { eager: true },
    );
    order.push('created');
    expect(currentTask()).toBe(outer);
    await task;
    expect(order).toEqual(['inner', 'created', 'later']);
  });

  test('is done at once when it is eager and never waits', async () => {
    const task = createTask(() => 5, { eager: true });
    expect(task.result()).toBe(5);
    const failed = createTask(
      () => {
        throw new Error('at once');
      },
      { eager: true },
    );
    expect(failed.exception()).toEqual(new Error('at once'));
    const cancelled = createTask(() => currentTask()?.cancel(), { eager: true });
    expect(cancelled.cancelled()).toBe(true);
  });

  test('wakes who waited for it when it is eager and never waits', async () => {
    let waiting: Promise<unknown> | undefined;
    const observe = createTask.bind(null, async () => {
      const [busy] = [...allTasks()].filter(({ name }) => name === 'busy');
      return await busy;
    });
    createTask(
      () => {
        waiting = observe({ eager: true });
        return 5;
      },
      { name: 'busy', eager: true },
    );
    expect(await waiting).toBe(5);
  });

  test('has no result before it is done', async () => {
    const task = createTask(() => {});
    expect(() => task.result()).toThrow(InvalidStateError);
    expect(() => task.exception()).toThrow(InvalidStateError);
    await task;
  });

  test('takes its result from its function only', async () => {
    const task = createTask(() => 1, { name: 'load' });
    expect(() => task.setResult(2)).toThrow("setResult() on task load: a task's result is what its function returns");
    expect(() => task.setException(new Error())).toThrow(InvalidStateError);
    expect(await task).toBe(1);
  });

  test('cannot await itself', async () => {
    const task: Task<void> = createTask(async () => {
      await currentTask();
    });
    await expect(task).rejects.toThrow(InvalidStateError);
  });

  test('calls its done callbacks once, in order, with itself and with no current task', async () => {
    const calls: unknown[] = [];
    const task = createTask(() => sleep(1));
    task.addDoneCallback((t) => calls.push('first', t, currentTask()));
    task.addDoneCallback(() => calls.push('second'));
    await task;
    await sleep(0);
    expect(calls).toEqual(['first', task, null, 'second']);
  });

  test('calls a callback that is added when it is done', async () => {
    const calls: string[] = [];
    const task = createTask(() => {});
    await task;
    task.addDoneCallback(() => calls.push('called'));
    expect(calls).toEqual([]);
    await sleep(0);
    expect(calls).toEqual(['called']);
  });

  test('forgets a callback that was removed, however often it was added', async () => {
    const calls: string[] = [];
    const callback = () => calls.push('called');
    const task = createTask(() => sleep(1));
    task.addDoneCallback(callback);
    task.addDoneCallback(callback);
    expect(task.removeDoneCallback(callback)).toBe(2);
    expect(task.removeDoneCallback(callback)).toBe(0);
    await task;
    await sleep(0);
    expect(calls).toEqual([]);
  });
});

describe('a cancel', () => {
  test('ends the wait at once and the task with it', async () => {
    const task = createTask(() => sleep(3_600_000));
    await sleep(10);
    expect(task.cancel()).toBe(true);
    expect(task.done()).toBe(false);
    await expect(task).rejects.toThrow(CancelledError);
    expect(task.cancelled()).toBe(true);
    expect(task.done()).toBe(true);
    expect(now()).toBe(10);
  });

  test('comes too late for a task that is done', async () => {
    const task = createTask(() => 1);
    await task;
    expect(task.cancel()).toBe(false);
    expect(task.cancelled()).toBe(false);
    expect(await task).toBe(1);
  });

  test('before the first step means that the function never begins', async () => {
    let begun = false;
    const task = createTask(async () => {
      begun = true;
    });
    task.cancel('early');
    await expect(task).rejects.toThrow('early');
    expect(begun).toBe(false);
    expect(task.cancelled()).toBe(true);
  });

  test('takes any reason, and shows it in the message', async () => {
    const messages: string[] = [];
    for (const reason of [Object.create(null), { code: 7 }, Symbol('why'), 0]) {
      const victim = createTask(() => sleep(1000));
      victim.cancel(reason);
      await victim.catch((error: unknown) => messages.push((error as Error).message));
    }
    expect(messages).toEqual(['[Object: null prototype] {}', '{ code: 7 }', 'Symbol(why)', '0']);
  });

  test('takes its reason to every awaiter, and says who sent it', async () => {
    const reason = { code: 7, message: 'shutting down' };
    const victim = createTask(() => sleep(1000));
    const awaiters = [createTask(() => victim), createTask(() => victim)];
    await sleep(1);
    const canceller = createTask(() => victim.cancel(reason), { name: 'canceller' });
    await canceller;
    for (const awaiter of [victim, ...awaiters]) {
      const error = await awaiter.then(
        () => null,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(CancelledError);
      expect(error).toMatchObject({
        name: 'CancelledError',
        code: 'ABORT_ERR',
        message: 'shutting down',
        reason,
        source: 'canceller',
      });
    }
  });

  test('may be caught: then the task goes on and was not cancelled', async () => {
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } catch (error) {
        expect(isCancelled(error)).toBe(true);
      }
      return 'went on';
    });
    await sleep(1);
    task.cancel();
    expect(await task).toBe('went on');
    expect(task.cancelled()).toBe(false);
    expect(task.cancelling()).toBe(1);
  });

  test('may become another error', async () => {
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } catch {
        throw new Error('instead');
      }
    });
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow('instead');
    expect(task.cancelled()).toBe(false);
  });

  test('lets finally wait: it is delivered once', async () => {
    const order: string[] = [];
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } finally {
        await sleep(5);
        order.push(`cleaned up at ${now()}`);
      }
    });
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(order).toEqual(['cleaned up at 6']);
  });

  test('that comes again before the task has resumed is the same one', async () => {
    const order: string[] = [];
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } finally {
        await sleep(5);
        order.push(`cleaned up, cancelling ${task.cancelling()}`);
      }
    });
    await sleep(1);
    task.cancel('one');
    task.cancel('two');
    task.cancel('three');
    await expect(task).rejects.toThrow(CancelledError);
    expect(order).toEqual(['cleaned up, cancelling 3']);
  });

  test('that comes again during cleanup interrupts the cleanup', async () => {
    const order: string[] = [];
    const task = createTask(async () => {
      try {
        await sleep(1000);
      } finally {
        order.push('cleaning');
        await sleep(50);
        order.push('never');
      }
    });
    await sleep(1);
    task.cancel('first');
    await sleep(10);
    task.cancel('second');
    await expect(task).rejects.toThrow('second');
    expect(order).toEqual(['cleaning']);
    expect(now()).toBe(11);
  });

  test('of the task by itself comes at its next wait', async () => {
    const order: string[] = [];
    const task = createTask(async () => {
      currentTask()?.cancel('enough');
      order.push('goes on');
      await sleep(1000);
      order.push('never');
    });
    await expect(task).rejects.toThrow('enough');
    expect(order).toEqual(['goes on']);
    expect(now()).toBe(0);
  });

  test('of the task by itself ends it cancelled even if no wait follows', async () => {
    const task = createTask(async () => {
      currentTask()?.cancel('enough');
      return 1;
    });
    await expect(task).rejects.toThrow('enough');
    expect(task.cancelled()).toBe(true);
  });

  test('from outside that no wait follows leaves the task done, with its value', async () => {
    const resume = Promise.withResolvers<void>();
    const task = createTask(async () => {
      await resume.promise; // Not a Future: no cancel reaches it.
      return 'value';
    });
    await sleep(1);
    task.cancel();
    resume.resolve();
    expect(await task).toBe('value');
    expect(task.cancelled()).toBe(false);
  });

  test('that meets a value that is ready delivers the value and waits for the next wait', async () => {
    const future = new Future<string>();
    const seen: unknown[] = [];
    const task = createTask(async () => {
      seen.push(await future);
      seen.push(task.cancelling());
      await sleep(1000);
    });
    await sleep(1);
    future.setResult('value');
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(seen).toEqual(['value', 1]);
    expect(now()).toBe(1);
  });

  test('that meets an error that is ready delivers the error and waits for the next wait', async () => {
    const future = new Future<string>();
    const seen: unknown[] = [];
    const task = createTask(async () => {
      await future.catch((error: unknown) => seen.push((error as Error).message));
      await sleep(1000);
    });
    await sleep(1);
    future.setException(new Error('broken'));
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(seen).toEqual(['broken']);
  });

  test('goes to the Future that the task awaits', async () => {
    const future = new Future<void>();
    const task = createTask(() => future);
    await sleep(1);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(future.cancelled()).toBe(true);
  });

  test('goes down a chain of tasks, and each cleans up before the one that awaits it', async () => {
    const order: string[] = [];
    const level = (n: number): Promise<void> =>
      createTask(async () => {
        try {
          await (n === 0 ? sleep(1000) : level(n - 1));
        } finally {
          await sleep(1);
          order.push(`${n} at ${now()}`);
        }
      });
    const top = level(2) as Task<void>;
    await sleep(10);
    top.cancel('enough');
    await expect(top).rejects.toThrow('enough');
    expect(order).toEqual(['0 at 11', '1 at 12', '2 at 13']);
  });

  test('that the awaited task swallows is swallowed for both', async () => {
    const inner = createTask(async () => {
      await sleep(1000).catch(() => {});
      return 'inner';
    });
    const outer = createTask(() => inner);
    await sleep(1);
    outer.cancel();
    expect(await outer).toBe('inner');
    expect(inner.cancelled()).toBe(false);
    expect(outer.cancelling()).toBe(1);
  });

  test('passed along a chain to a value that is ready comes back to who passed it on', async () => {
    const future = new Future<string>();
    const seen: unknown[] = [];
    const inner = createTask(() => future);
    const outer = createTask(async () => {
      seen.push(await inner);
      await sleep(1000);
      seen.push('never');
    });
    await sleep(1);
    future.setResult('value');
    outer.cancel('enough');
    await expect(outer).rejects.toThrow('enough');
    expect(seen).toEqual(['value']);
    expect(now()).toBe(1);
  });

  test('is not delivered at an await of what is done, but at the next that waits', async () => {
    const done = createTask(() => 1);
    await done;
    const seen: unknown[] = [];
    const task = createTask(async () => {
      currentTask()?.cancel();
      seen.push(await done);
      await wait([done]);
      seen.push('never');
    });
    await expect(task).rejects.toThrow(CancelledError);
    expect(seen).toEqual([1]);
  });

  test('reaches every wait of the task', async () => {
    const ended: string[] = [];
    const branch = async (name: string) => {
      try {
        await sleep(1000);
      } finally {
        ended.push(name);
      }
    };
    const task = createTask(() => Promise.allSettled([branch('a'), branch('b'), branch('c')]));
    await sleep(1);
    task.cancel();
    await task;
    expect(ended).toEqual(['a', 'b', 'c']);
  });

  test('counts until it is taken back', async () => {
    const counts: number[] = [];
    const task = createTask(async () => {
      await sleep(1000).catch(() => {});
      counts.push(task.cancelling(), task.uncancel(), task.uncancel(), task.uncancel());
    });
    await sleep(1);
    task.cancel();
    task.cancel();
    expect(task.cancelling()).toBe(2);
    await task;
    expect(counts).toEqual([2, 1, 0, 0]);
  });

  test('that was taken back before its delivery is forgotten', async () => {
    const task = createTask(async () => {
      const self = currentTask();
      self?.cancel();
      expect(self?.uncancel()).toBe(0);
      return sleep(5, 'slept');
    });
    expect(await task).toBe('slept');
  });

  it('thrown by the function itself cancels the task, and is reported with its source', async () => {
    const warnings: string[] = [];
    const listener = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', listener);
    await inVirtualTime(async () => {
      const task = createTask(
        async () => {
          throw new CancelledError('made up', { source: 'nobody' });
        },
        { name: 'liar' },
      );
      await wait([task]);
      expect(task.cancelled()).toBe(true);
    });
    await new Promise(setImmediate);
    process.off('warning', listener);
    // A warning, not a call of the exception handler: for asyncio this is an ordinary way to end.
    expect(warnings).toEqual([expect.stringMatching(/liar.*nobody/s)]);
  });

  test('of a task that swallows every cancel does not end it', async () => {
    let swallowed = 0;
    const task = createTask(async () => {
      for (let i = 0; i < 3; i++) {
        await sleep(100).catch(() => {
          swallowed++;
        });
      }
      return 'stubborn';
    });
    for (let i = 0; i < 3; i++) {
      await sleep(10);
      task.cancel();
    }
    expect(await task).toBe('stubborn');
    expect(swallowed).toBe(3);
  });
});

describe('a signal given to createTask', () => {
  test('cancels the task with its reason, and is let go at its end', async () => {
    const controller = new AbortController();
    const reason = new Error('user left');
    const task = createTask(() => sleep(1000), { signal: controller.signal });
    const other = createTask(() => sleep(5), { signal: controller.signal });
    await other;
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort(reason);
    await expect(task).rejects.toMatchObject({ name: 'CancelledError', reason, message: 'user left' });
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    expect(task.cancelled()).toBe(true);
  });

  test('that is aborted already keeps the task from beginning', async () => {
    let begun = false;
    const task = createTask(
      () => {
        begun = true;
      },
      { signal: AbortSignal.abort('gone') },
    );
    await expect(task).rejects.toMatchObject({ reason: 'gone' });
    expect(begun).toBe(false);
  });
});
