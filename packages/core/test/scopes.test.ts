/** What JavaScript adds to asyncio: many waits in one task. (Design, decision 4.) */
import {
  allTasks,
  CancelledError,
  createTask,
  detached,
  Future,
  sleep,
  TimeoutError,
  taskGroup,
  throwIfCancelled,
  timeout,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

async function noted(log: string[], name: string, ms = 1000): Promise<string> {
  try {
    await sleep(ms);
    return name;
  } catch (error) {
    log.push(`${name}: ${(error as Error).name}`);
    throw error;
  }
}

describe('a cancel of a task', () => {
  test('reaches every branch of a Promise.all', async () => {
    const log: string[] = [];
    const task = createTask(() => Promise.all([noted(log, 'a'), noted(log, 'b'), noted(log, 'c')]));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(task.cancelled()).toBe(true);
    expect(log).toEqual(['a: CancelledError', 'b: CancelledError', 'c: CancelledError']);
  });

  test('reaches every branch of a Promise.race', async () => {
    const log: string[] = [];
    const task = createTask(() => Promise.race([noted(log, 'a'), noted(log, 'b')]));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['a: CancelledError', 'b: CancelledError']);
  });

  test('that comes out of Promise.any as an AggregateError is a cancel', async () => {
    const log: string[] = [];
    const task = createTask(() => Promise.any([noted(log, 'a'), noted(log, 'b')]));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow(CancelledError);
    expect(task.cancelled()).toBe(true);
  });

  test('is swallowed by Promise.allSettled, and thrown by throwIfCancelled()', async () => {
    const steps: unknown[] = [];
    const task = createTask(async () => {
      const settled = await Promise.allSettled([sleep(1000), sleep(1000)]);
      steps.push(...settled.map((s) => s.status), task.cancelling());
      throwIfCancelled();
      steps.push('never');
    });
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(steps).toEqual(['rejected', 'rejected', 1]);
  });

  test('reaches a wait inside an async generator, and its finally runs', async () => {
    const log: string[] = [];
    async function* ticks() {
      try {
        for (let i = 0; ; i++) {
          await sleep(10);
          yield i;
        }
      } finally {
        await sleep(5);
        log.push(`closed at ${now()}`);
      }
    }
    const task = createTask(async () => {
      for await (const i of ticks()) log.push(`tick ${i}`);
    });
    await sleep(25);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['tick 0', 'tick 1', 'closed at 30']);
  });

  test('between two steps of an async generator closes it', async () => {
    const log: string[] = [];
    async function* two() {
      try {
        yield 1;
        yield 2;
      } finally {
        log.push('closed');
      }
    }
    const task = createTask(async () => {
      for await (const _ of two()) await sleep(1000);
    });
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['closed']);
  });

  test('that one branch swallows ends the others all the same', async () => {
    const log: string[] = [];
    const task = createTask(() => Promise.all([sleep(1000).catch(() => 'swallowed'), noted(log, 'b')]));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['b: CancelledError']);
  });

  test('rejects a branch that it left in a foreign promise at its next wait', async () => {
    const gate = Promise.withResolvers<void>();
    const log: string[] = [];
    const straggler = async () => {
      await gate.promise;
      await noted(log, 'straggler');
    };
    const task = createTask(() => Promise.all([straggler(), sleep(1000)]));
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    gate.resolve();
    await sleep(1);
    expect(log).toEqual(['straggler: CancelledError']);
  });
});

describe('a branch that a task left behind without a cancel', () => {
  test('goes on', async () => {
    const log: string[] = [];
    const task = createTask(() =>
      Promise.race([sleep(10, 'winner'), sleep(30).then(() => log.push(`loser at ${now()}`))]),
    );
    expect(await task).toBe('winner');
    await sleep(100);
    expect(log).toEqual(['loser at 30']);
  });
});

describe('two scopes side by side', () => {
  test('a cancel of one does not reach the other', async () => {
    const log: string[] = [];
    const settled = await Promise.allSettled([
      timeout(10, () => noted(log, 'a')),
      timeout(20, () => Promise.all([noted(log, 'b'), noted(log, 'c')])),
      noted(log, 'd', 50),
    ]);
    expect(settled.map((s) => s.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(log).toEqual(['a: CancelledError', 'b: CancelledError', 'c: CancelledError']);
    expect(now()).toBe(50);
  });

  test('two groups side by side fail apart', async () => {
    const [left, right] = await Promise.allSettled([
      taskGroup((group) => {
        group.createTask(async () => {
          await sleep(10);
          throw new Error('left');
        });
      }),
      taskGroup((group) => group.createTask(() => sleep(30, 'right'))),
    ]);
    expect(left.status).toBe('rejected');
    expect(right).toEqual({ status: 'fulfilled', value: 'right' });
  });

  test('a wait that a closed scope left behind belongs to the scope around it', async () => {
    const log: string[] = [];
    const task = createTask(async () => {
      const branches: Promise<unknown>[] = [];
      await timeout(100, async () => {
        branches.push(noted(log, 'left behind'));
        await sleep(1);
      });
      await Promise.all(branches);
    });
    await sleep(200);
    expect(log).toEqual([]);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(log).toEqual(['left behind: CancelledError']);
  });

  test('counts of scopes add up in cancelling(), and end with them', async () => {
    const counts: unknown[] = [];
    const task = createTask(async () => {
      await timeout(10, async () => {
        await sleep(1000).catch(() => counts.push(task.cancelling()));
      });
      counts.push(task.cancelling());
    });
    await task;
    expect(counts).toEqual([1, 0]);
  });
});

describe('work that several tasks await', () => {
  test('is cancelled with its sole waiter', async () => {
    const work = createTask(() => sleep(1000));
    const only = createTask(() => work);
    await sleep(1);
    only.cancel();
    await expect(only).rejects.toThrow(CancelledError);
    expect(work.cancelled()).toBe(true);
  });

  test('goes on for the others when one of them is cancelled', async () => {
    const work = createTask(() => sleep(50, 'value'));
    const tasks = [1, 2, 3].map(() => createTask(() => work));
    await sleep(1);
    tasks[0]?.cancel();
    await expect(tasks[0]).rejects.toThrow(CancelledError);
    expect(now()).toBe(1);
    expect(await tasks[1]).toBe('value');
    expect(await tasks[2]).toBe('value');
  });

  test('is taken along by the last of several that are cancelled at one instant', async () => {
    const work = createTask(() => sleep(1000));
    const tasks = [1, 2].map(() => createTask(() => work));
    await sleep(1);
    for (const task of tasks) task.cancel();
    for (const task of tasks) await expect(task).rejects.toThrow(CancelledError);
    expect(work.cancelled()).toBe(true);
  });

  test('goes on for a then() from outside any task', async () => {
    const work = createTask(() => sleep(50, 'value'));
    const outside = Promise.withResolvers<string>();
    void detached(() => work.then(outside.resolve, outside.reject));
    const task = createTask(() => work);
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(await outside.promise).toBe('value');
  });

  test('two waits of one task for one Future are not two waiters', async () => {
    const future = new Future<void>();
    const task = createTask(() => Promise.all([future, future]));
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(future.cancelled()).toBe(true);
  });

  test('done callbacks do not count as waiters', async () => {
    const work = createTask(() => sleep(1000));
    work.addDoneCallback(() => {});
    const only = createTask(() => work);
    await sleep(1);
    only.cancel();
    await expect(only).rejects.toThrow(CancelledError);
    expect(work.cancelled()).toBe(true);
  });

  test('leaves nothing in the list of tasks', async () => {
    expect(allTasks().size).toBe(1);
    await expect(timeout(1, () => createTask(() => sleep(1000)))).rejects.toThrow(TimeoutError);
    expect(allTasks().size).toBe(1);
  });
});
