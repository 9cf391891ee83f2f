/** race, shared, protect, detached, withSignal, currentSignal, throwIfCancelled: what asyncio has not, or not so. */
import { getEventListeners } from 'node:events';
import {
  allTasks,
  CancelledError,
  createTask,
  currentDeadline,
  currentSignal,
  currentTask,
  detached,
  Future,
  gather,
  getRunningLoop,
  isCancelled,
  protect,
  Queue,
  race,
  shared,
  sleep,
  TimeoutError,
  taskGroup,
  throwIfCancelled,
  timeout,
  withSignal,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

async function fail(ms: number, message = 'broken'): Promise<never> {
  await sleep(ms);
  throw new Error(message);
}

describe('race', () => {
  test('gives the first value; the losers are cancelled and have ended', async () => {
    const log: string[] = [];
    const loser = async () => {
      try {
        await sleep(1000);
      } finally {
        await sleep(5);
        log.push('loser wound down');
      }
    };
    expect(await race([loser, () => sleep(10, 'winner')])).toBe('winner');
    expect(log).toEqual(['loser wound down']);
    expect(now()).toBe(15);
  });

  test('throws if the first to finish fails', async () => {
    await expect(race([() => fail(5), () => sleep(10)])).rejects.toThrow('broken');
    expect(allTasks().size).toBe(1);
  });

  test('that is cancelled cancels everybody and waits for them', async () => {
    const log: string[] = [];
    const racer = async (name: string) => {
      try {
        await sleep(1000);
      } finally {
        await sleep(5);
        log.push(name);
      }
    };
    const task = createTask(() => race([() => racer('a'), () => racer('b')]));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(log).toEqual(['a', 'b']);
    expect(now()).toBe(15);
  });

  test('takes tasks, futures and promises; a promise that loses is left to itself', async () => {
    const future = new Future<string>();
    getRunningLoop().callLater(5, () => future.setResult('future'));
    expect(await race([createTask(() => sleep(50)), new Promise(() => {}), future])).toBe('future');
    expect(now()).toBe(5);
  });

  test('leaves a task that others wait for, too, to them', async () => {
    const task = createTask(() => sleep(50, 'shared'));
    const other = createTask(() => task);
    await sleep(1);
    expect(await race([task, () => sleep(5, 'quick')])).toBe('quick');
    expect(await other).toBe('shared');
  });

  test('swallows what the losers throw while they wind down', async () => {
    const loser = async () => {
      try {
        await sleep(1000);
      } finally {
        await fail(1, 'in cleanup');
      }
    };
    expect(await race([loser, () => sleep(5, 'winner')])).toBe('winner');
  });

  test('of several that finish at once gives the first of the list, and no report of the rest', async () => {
    const gate = new Future<void>();
    const racing = race([() => gate.then(() => 'a'), () => gate.then(() => fail(0))]);
    await sleep(1);
    gate.setResult();
    expect(await racing).toBe('a');
  });

  test('that is cancelled at once leaves nobody running', async () => {
    const ends: string[] = [];
    const racing = race([() => sleep(10).then(() => ends.push('ran on'))]);
    racing.cancel();
    await expect(racing).rejects.toThrow(CancelledError);
    expect(allTasks().size).toBe(1);
    await sleep(20);
    expect(ends).toEqual([]);
  });

  test('under a timeout is cancelled by it', async () => {
    await expect(timeout(10, () => race([() => sleep(100), () => sleep(200)]))).rejects.toThrow(TimeoutError);
    expect(allTasks().size).toBe(1);
  });
});

describe('shared', () => {
  test('runs once for all who call while it runs, and anew after', async () => {
    let runs = 0;
    const load = shared(async () => {
      await sleep(10);
      return ++runs;
    });
    expect(await Promise.all([load(), load(), load()])).toEqual([1, 1, 1]);
    expect(await load()).toBe(2);
  });

  test('spares the others when one caller is cancelled', async () => {
    const load = shared(() => sleep(50, 'value'));
    const first = createTask(() => load());
    const second = createTask(() => load());
    await sleep(10);
    first.cancel();
    await expect(first).rejects.toThrow(CancelledError);
    expect(await second).toBe('value');
  });

  test('is cancelled when the last caller leaves, and the next call starts anew', async () => {
    const log: string[] = [];
    const load = shared(async () => {
      try {
        await sleep(50);
        return 'value';
      } catch (error) {
        log.push((error as Error).name);
        throw error;
      }
    });
    const tasks = [createTask(() => load()), createTask(() => load())];
    await sleep(10);
    for (const task of tasks) task.cancel();
    for (const task of tasks) await expect(task).rejects.toThrow(CancelledError);
    expect(await load()).toBe('value');
    expect(log).toEqual(['CancelledError']);
    expect(now()).toBe(60);
  });

  test('belongs to no caller: a timeout of the first does not hurt the second', async () => {
    const load = shared(async () => {
      expect(currentDeadline()).toBeNull();
      return sleep(50, 'value');
    });
    const first = createTask(() => timeout(10, () => load()));
    const second = createTask(() => load());
    await expect(first).rejects.toThrow(TimeoutError);
    expect(await second).toBe('value');
  });

  test('gives a failure to every caller', async () => {
    const load = shared(() => fail(5));
    const settled = await Promise.allSettled([load(), load()]);
    expect(settled.map((s) => (s as PromiseRejectedResult).reason.message)).toEqual(['broken', 'broken']);
  });

  test('takes the arguments of the first caller', async () => {
    const load = shared((name: string) => sleep(1, name));
    expect(await Promise.all([load('a'), load('b')])).toEqual(['a', 'a']);
  });
});

describe('protect', () => {
  test('runs its body to the end, and delivers the cancel after it', async () => {
    const log: string[] = [];
    const task = createTask(async () => {
      log.push(
        await protect(async () => {
          await sleep(20);
          await sleep(20);
          return 'committed';
        }),
      );
      await sleep(1000);
      log.push('never');
    });
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(log).toEqual(['committed']);
    expect(now()).toBe(40);
  });

  test('cancels its body after the grace', async () => {
    const task = createTask(() => protect(() => sleep(1000), { grace: 30 }));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(now()).toBe(40);
  });

  test('under a timeout makes it late, not lost', async () => {
    const log: string[] = [];
    const limited = timeout(10, async () => {
      log.push(await protect(() => sleep(50, 'done')));
      await sleep(1);
    });
    await expect(limited).rejects.toThrow(TimeoutError);
    expect(log).toEqual(['done']);
    expect(now()).toBe(50);
  });

  test('passes its failure on, cancelled or not', async () => {
    await expect(protect(() => fail(5))).rejects.toThrow('broken');
    const task = createTask(() => protect(() => fail(20)));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow('broken');
  });

  test('without a cancel is nothing special', async () => {
    expect(await protect(() => sleep(5, 'value'))).toBe('value');
    expect(await protect(() => 'at once')).toBe('at once');
  });

  test('knows the task that it protects by name', async () => {
    const name = await createTask(() => protect(() => currentTask()?.name), { name: 'outer' });
    expect(name).toMatch(/protect|outer/);
  });
});

describe('detached', () => {
  test('runs without a current task and without a deadline, on the same loop', async () => {
    await timeout(10, () =>
      detached(() => {
        expect(currentTask()).toBeNull();
        expect(currentDeadline()).toBeNull();
      }),
    );
    const loop = getRunningLoop();
    detached(() => expect(getRunningLoop() === loop).toBe(true));
    await sleep(0);
  });

  test('keeps what it starts from the cancel of the caller', async () => {
    const log: string[] = [];
    const task = createTask(async () => {
      void detached(async () => {
        await sleep(20);
        log.push('went on');
      });
      await sleep(1000);
    });
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    await sleep(20);
    expect(log).toEqual(['went on']);
  });

  test('gives what its function gives or throws', async () => {
    expect(detached(() => 5)).toBe(5);
    expect(() =>
      detached(() => {
        throw new Error('at once');
      }),
    ).toThrow('at once');
  });

  test('awaited inside a task is a foreign promise, and its Future a cancellation point', async () => {
    const queue = detached(() => new Queue<number>());
    const task = createTask(() => queue.get());
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(queue.statistics().gettersWaiting).toBe(0);
  });
});

describe('withSignal', () => {
  test('cancels its body when the signal aborts, and throws the very reason', async () => {
    const controller = new AbortController();
    const reason = new Error('user left');
    const log: string[] = [];
    getRunningLoop().callLater(10, () => controller.abort(reason));
    const working = withSignal(controller.signal, async () => {
      try {
        await sleep(1000);
      } catch (error) {
        log.push((error as Error).name);
        throw error;
      }
    });
    await expect(working).rejects.toBe(reason);
    expect(log).toEqual(['CancelledError']);
    expect(currentTask()?.cancelling()).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  test('throws at once if the signal is aborted already, and does not begin', async () => {
    await expect(withSignal(AbortSignal.abort('gone'), () => expect.unreachable())).rejects.toBe('gone');
  });

  test('lets its listener go when the body ends', async () => {
    const controller = new AbortController();
    expect(await withSignal(controller.signal, () => sleep(5, 'value'))).toBe('value');
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    controller.abort();
    await sleep(1);
  });

  test('lets a cancel of the task win', async () => {
    const controller = new AbortController();
    const task = createTask(() => withSignal(controller.signal, () => sleep(1000)));
    await sleep(1);
    task.cancel('enough');
    controller.abort('too');
    await expect(task).rejects.toThrow('enough');
    expect(task.cancelled()).toBe(true);
  });

  test('reaches groups and tasks inside', async () => {
    const controller = new AbortController();
    getRunningLoop().callLater(10, () => controller.abort(new Error('stop')));
    const log: string[] = [];
    await expect(
      withSignal(controller.signal, () =>
        taskGroup((group) => {
          group.createTask(() => sleep(1000).catch(() => log.push('child cancelled')));
        }),
      ),
    ).rejects.toThrow('stop');
    expect(log).toEqual(['child cancelled']);
  });

  test('works without a task', async () => {
    const controller = new AbortController();
    const outside = detached(() => withSignal(controller.signal, () => sleep(1000)));
    getRunningLoop().callLater(5, () => controller.abort('stop'));
    expect(await outside.catch((reason: unknown) => reason)).toBe('stop');
  });
});

describe('currentSignal and task.signal', () => {
  test('abort when the cancel is requested, with the CancelledError as reason', async () => {
    const seen: unknown[] = [];
    const task = createTask(async () => {
      currentSignal().addEventListener('abort', (event) => seen.push((event.target as AbortSignal).reason));
      await sleep(1000);
    });
    await sleep(1);
    const { signal } = task;
    task.cancel('enough');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ name: 'CancelledError', message: 'enough' });
    expect(seen).toEqual([signal.reason]);
    await expect(task).rejects.toThrow('enough');
  });

  test('are fresh after delivery, so that cleanup can use them', async () => {
    const seen: unknown[] = [];
    const task = createTask(async () => {
      const first = currentSignal();
      try {
        await sleep(1000);
      } finally {
        seen.push(first.aborted, currentSignal().aborted, task.signal.aborted);
      }
    });
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(seen).toEqual([true, false, false]);
  });

  test('belong to the innermost scope: a timeout aborts its own', async () => {
    const outer = currentSignal();
    let inner!: AbortSignal;
    await timeout(10, () => {
      inner = currentSignal();
      return sleep(1000);
    }).catch(() => {});
    expect(inner.aborted).toBe(true);
    expect(outer.aborted).toBe(false);
  });

  test('are aborted while a cancel is pending', async () => {
    const task = createTask(() => {
      currentTask()?.cancel('enough');
      return [currentSignal().aborted, (currentSignal().reason as Error).message];
    });
    await expect(task).rejects.toThrow('enough');
  });

  test('never abort outside a task', async () => {
    expect(detached(() => currentSignal().aborted)).toBe(false);
  });

  test('are one and the same as long as nothing is cancelled', async () => {
    const signal = currentSignal();
    await sleep(1);
    expect(currentSignal() === signal).toBe(true);
    expect(currentTask()?.signal === signal).toBe(true);
  });
});

describe('throwIfCancelled', () => {
  test('throws a cancel that is pending', async () => {
    const task = createTask(() => {
      currentTask()?.cancel('enough');
      throwIfCancelled();
    });
    await expect(task).rejects.toThrow('enough');
  });

  test('throws a cancel that was delivered and swallowed, as long as its scope lives', async () => {
    const log: string[] = [];
    await timeout(10, async () => {
      await Promise.allSettled([sleep(1000)]);
      throwIfCancelled();
    }).catch((error: unknown) => log.push((error as Error).name));
    throwIfCancelled();
    expect(log).toEqual(['TimeoutError']);
  });

  test('does nothing without a cancel, after uncancel(), or outside a task', async () => {
    throwIfCancelled();
    detached(() => throwIfCancelled());
    const task = createTask(async () => {
      await sleep(1000).catch(() => {});
      currentTask()?.uncancel();
      throwIfCancelled();
      return 'fine';
    });
    await sleep(1);
    task.cancel();
    expect(await task).toBe('fine');
  });
});

describe('isCancelled', () => {
  test('tells a cancel from an error, inside a task and after gather', async () => {
    const task = createTask(() => sleep(1000));
    await sleep(1);
    task.cancel();
    const [error] = await gather([task], { returnExceptions: true });
    expect(isCancelled(error)).toBe(true);
    expect(isCancelled(new TimeoutError('x'))).toBe(false);
  });
});
