/** The behaviours of CPython's Lib/test/test_asyncio/test_timeouts.py, in our own words. */
import {
  CancelledError,
  createTask,
  currentDeadline,
  currentTask,
  getRunningLoop,
  InvalidStateError,
  isCancelled,
  sleep,
  type Timeout,
  TimeoutError,
  taskGroup,
  timeout,
  timeoutAt,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

describe('a timeout', () => {
  test('gives what its body returns in time', async () => {
    let kept!: Timeout;
    const value = await timeout(100, async (t) => {
      kept = t;
      expect(t.expired()).toBe(false);
      return sleep(10, 'value');
    });
    expect(value).toBe('value');
    expect(kept.expired()).toBe(false);
    await sleep(200);
    expect(kept.expired()).toBe(false);
  });

  test('cancels its body and throws a TimeoutError whose cause is the cancel', async () => {
    const ended: string[] = [];
    let kept!: Timeout;
    const error = await timeout(10, async (t) => {
      kept = t;
      try {
        await sleep(1000);
      } catch (error) {
        ended.push(isCancelled(error) ? 'cancelled' : String(error));
        throw error;
      }
    }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error).not.toBeInstanceOf(CancelledError);
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ETIMEDOUT' });
    expect((error as Error).cause).toBeInstanceOf(CancelledError);
    expect(ended).toEqual(['cancelled']);
    expect(kept.expired()).toBe(true);
    expect(now()).toBe(10);
    expect(currentTask()?.cancelling()).toBe(0);
  });

  test('lets its body clean up before it throws', async () => {
    await expect(
      timeout(10, async () => {
        try {
          await sleep(1000);
        } finally {
          await sleep(50);
        }
      }),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(60);
  });

  test('passes on what its body throws', async () => {
    await expect(
      timeout(10, () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    await expect(
      timeout(10, async () => {
        await sleep(1000).catch(() => {});
        throw new Error('instead');
      }),
    ).rejects.toThrow('instead');
  });

  test('gives the value of a body that swallows the cancel, and has expired', async () => {
    let kept!: Timeout;
    const value = await timeout(10, async (t) => {
      kept = t;
      await sleep(1000).catch(() => {});
      return 'late';
    });
    expect(value).toBe('late');
    expect(kept.expired()).toBe(true);
  });

  test('of null never expires', async () => {
    await timeout(null, async (t) => {
      expect(t.when()).toBeNull();
      await sleep(3_600_000);
    });
  });

  test('of Infinity never expires', async () => {
    await timeout(Infinity, (t) => {
      expect(t.when()).toBeNull();
      return sleep(3_600_000);
    });
  });

  test('tells when it will expire', async () => {
    await sleep(5);
    await timeout(10, (t) => expect(t.when()).toBe(getRunningLoop().time() + 10));
  });

  for (const ms of [0, -5]) {
    test(`of ${ms} expires at the first real wait`, async () => {
      let steps = 0;
      await expect(
        timeout(ms, async () => {
          steps++;
          await Promise.resolve();
          steps++;
          await sleep(0);
          steps++;
        }),
      ).rejects.toThrow(TimeoutError);
      expect(steps).toBe(2);
    });

    test(`of ${ms} does not expire if the body does not wait`, async () => {
      let kept!: Timeout;
      const value = await timeout(ms, async (t) => {
        kept = t;
        await Promise.resolve();
        return 'in time';
      });
      expect(value).toBe('in time');
      expect(kept.expired()).toBe(false);
      await sleep(1); // No cancel is left.
    });
  }

  test('at an instant expires at that instant', async () => {
    await sleep(5);
    await expect(timeoutAt(getRunningLoop().time() + 10, () => sleep(1000))).rejects.toThrow(TimeoutError);
    expect(now()).toBe(15);
  });

  test('at a past instant expires at the first wait', async () => {
    await sleep(20);
    await expect(timeoutAt(10, () => sleep(1000))).rejects.toThrow(TimeoutError);
    expect(now()).toBe(20);
  });

  test('can be moved later', async () => {
    await expect(
      timeout(10, async (t) => {
        t.reschedule(getRunningLoop().time() + 50);
        expect(t.when()).toBe(50);
        await sleep(40);
        await sleep(40);
      }),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(50);
  });

  test('can be moved earlier', async () => {
    await expect(
      timeout(100, async (t) => {
        t.reschedule(getRunningLoop().time() + 5);
        await sleep(1000);
      }),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(5);
  });

  test('can be switched off, and on', async () => {
    await timeout(10, async (t) => {
      t.reschedule(null);
      await sleep(100);
    });
    await expect(
      timeout(null, async (t) => {
        t.reschedule(getRunningLoop().time() + 5);
        await sleep(1000);
      }),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(105);
  });

  test('that is moved to now expires at the next wait', async () => {
    let steps = 0;
    await expect(
      timeout(1000, async (t) => {
        await sleep(5);
        t.reschedule(getRunningLoop().time());
        steps++;
        await sleep(10);
        steps++;
      }),
    ).rejects.toThrow(TimeoutError);
    expect(steps).toBe(1);
    expect(now()).toBe(5);
  });

  test('does not expire when it is moved to the past by a body that waits no more', async () => {
    const task = createTask(async () => {
      await timeout(1000, (t) => sleep(500).catch(() => t.reschedule(0)));
      return 'went on';
    });
    await sleep(1);
    task.cancel();
    expect(await task).toBe('went on');
  });

  test('cannot be moved when it has expired or ended', async () => {
    let kept!: Timeout;
    await timeout(10, async (t) => {
      kept = t;
      await sleep(1000).catch(() => {});
      expect(() => t.reschedule(null)).toThrow(
        'reschedule() of a timeout that is expiring: only a running one can be moved',
      );
    });
    expect(() => kept.reschedule(null)).toThrow(InvalidStateError);
    expect(() => kept.reschedule(null)).toThrow('reschedule() of a timeout that is expired');
    await timeout(10, (t) => {
      kept = t;
    });
    expect(() => kept.reschedule(5)).toThrow('reschedule() of a timeout that is finished');
  });
});

describe('nested timeouts', () => {
  test('the inner one expires alone', async () => {
    const order: string[] = [];
    await timeout(100, async (outer) => {
      await timeout(10, () => sleep(1000)).catch((error) => order.push((error as Error).name));
      expect(outer.expired()).toBe(false);
      await sleep(50);
      order.push('went on');
    });
    expect(order).toEqual(['TimeoutError', 'went on']);
  });

  test('the outer one expires through the inner one', async () => {
    const order: string[] = [];
    await expect(
      timeout(10, async () => {
        await timeout(100, () => sleep(1000)).catch((error) => {
          order.push((error as Error).name);
          throw error;
        });
      }),
    ).rejects.toThrow(TimeoutError);
    expect(order).toEqual(['CancelledError']);
    expect(now()).toBe(10);
  });

  test('both at one instant: the error is a TimeoutError of the outer one', async () => {
    let outer!: Timeout;
    await expect(
      timeout(10, async (t) => {
        outer = t;
        await timeout(10, () => sleep(1000));
      }),
    ).rejects.toThrow(TimeoutError);
    expect(outer.expired()).toBe(true);
    expect(currentTask()?.cancelling()).toBe(0);
  });

  test('during the cleanup of the inner one the outer one still counts', async () => {
    await expect(
      timeout(20, () =>
        timeout(10, async () => {
          try {
            await sleep(1000);
          } finally {
            await sleep(1000);
          }
        }),
      ),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(20);
  });

  test('side by side in Promise.all each ends only its own half', async () => {
    const settled = await Promise.allSettled([
      timeout(10, () => sleep(100)),
      timeout(1000, () => sleep(100, 'unharmed')),
    ]);
    expect(settled).toEqual([
      { status: 'rejected', reason: expect.any(TimeoutError) },
      { status: 'fulfilled', value: 'unharmed' },
    ]);
    expect(now()).toBe(100);
  });

  test('the innermost deadline that comes first is currentDeadline()', async () => {
    expect(currentDeadline()).toBeNull();
    await timeout(100, async () => {
      expect(currentDeadline()).toBe(100);
      await timeout(10, () => expect(currentDeadline()).toBe(10));
      await timeout(1000, () => expect(currentDeadline()).toBe(100));
      await timeout(null, () => expect(currentDeadline()).toBe(100));
      expect(await createTask(() => currentDeadline())).toBeNull(); // A task of its own is not under this limit.
    });
    expect(currentDeadline()).toBeNull();
  });
});

describe('a cancel from outside', () => {
  test('stays a CancelledError', async () => {
    const task = createTask(() => timeout(100, () => sleep(1000)));
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(task.cancelled()).toBe(true);
  });

  test('wins over a timeout that expires at the same instant', async () => {
    const task = createTask(() => timeout(10, () => sleep(1000)));
    getRunningLoop().callLater(10, () => task.cancel('enough'));
    await expect(task).rejects.toThrow(CancelledError);
    expect(task.cancelled()).toBe(true);
  });

  test('wins over a timeout whose body is cleaning up', async () => {
    const task = createTask(() =>
      timeout(10, async () => {
        try {
          await sleep(1000);
        } finally {
          await sleep(50);
        }
      }),
    );
    await sleep(20);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(task.cancelled()).toBe(true);
    expect(now()).toBe(20);
  });

  test('that was swallowed before does not change a later timeout', async () => {
    const task = createTask(async () => {
      await sleep(1000).catch(() => {});
      await timeout(10, () => sleep(1000));
    });
    await sleep(1);
    task.cancel();
    await expect(task).rejects.toThrow(TimeoutError);
  });
});

describe('the cancel of a timeout', () => {
  test('that no wait took ends with the timeout', async () => {
    const steps: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    getRunningLoop().callLater(10, resolve);
    await timeout(10, () => promise.then(() => {})).catch(() => steps.push('expired'));
    await sleep(5);
    steps.push(`went on, cancelling ${currentTask()?.cancelling()}`);
    expect(steps.at(-1)).toBe('went on, cancelling 0');
  });

  test('is turned into TimeoutError also when a group inside threw its own errors', async () => {
    const error = await timeout(10, () =>
      taskGroup((group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            // biome-ignore lint/correctness/noUnsafeFinally: an error during cleanup is what this is about
            throw new Error('in cleanup');
          }
        });
      }),
    ).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: 'ExceptionGroup' });
    await sleep(5); // The cancel that the group renewed ends with the timeout.
    expect(currentTask()?.cancelling()).toBe(0);
  });

  test('around another that ended meanwhile comes with the next wait, though a group displaced it', async () => {
    const steps: string[] = [];
    const outer = timeout(20, async () => {
      try {
        await timeout(10, () =>
          taskGroup((group) => {
            group.createTask(async () => {
              await sleep(1000).catch(() => {});
              await sleep(50); // The outer deadline passes meanwhile.
              throw new Error('in cleanup');
            });
          }),
        );
      } catch (error) {
        steps.push((error as Error).name);
      }
      await sleep(1).catch((error: unknown) => {
        steps.push((error as Error).name);
        throw error;
      });
    });
    await expect(outer).rejects.toThrow(TimeoutError);
    expect(steps).toEqual(['ExceptionGroup', 'CancelledError']);
    await sleep(5);
    expect(currentTask()?.cancelling()).toBe(0);
  });

  test('reaches only the waits inside', async () => {
    const inside = timeout(10, () => sleep(1000)).catch((error: Error) => error.name);
    const outside = sleep(100, 'unharmed');
    expect(await Promise.all([inside, outside])).toEqual(['TimeoutError', 'unharmed']);
  });

  test('in one task does not reach another task that awaits the same', async () => {
    const shared = createTask(() => sleep(50, 'shared'));
    const patient = createTask(() => shared);
    await sleep(1);
    await expect(timeout(10, () => shared)).rejects.toThrow(TimeoutError);
    expect(await patient).toBe('shared');
  });
});
