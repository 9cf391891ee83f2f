/** The behaviours of CPython's Lib/test/test_asyncio/test_taskgroups.py, in our own words. */
import {
  CancelledError,
  createTask,
  currentTask,
  ExceptionGroup,
  Future,
  InvalidStateError,
  isCancelled,
  sleep,
  type TaskGroup,
  TimeoutError,
  taskGroup,
  timeout,
  until,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { now, test } from './support/virtual.ts';

/** The messages of a group's errors, sorted; nested groups as arrays. */
async function errorsOf(group: PromiseLike<unknown>): Promise<unknown[]> {
  const error = await Promise.resolve(group).then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(ExceptionGroup);
  return messages(error as ExceptionGroup);
}

function messages(group: ExceptionGroup): unknown[] {
  return group.errors.map((error) => (error instanceof ExceptionGroup ? messages(error) : (error as Error).message));
}

async function fail(ms: number, message = 'broken'): Promise<never> {
  await sleep(ms);
  throw new Error(message);
}

describe('a task group', () => {
  test('waits for its children and gives what its body returns', async () => {
    const ended: string[] = [];
    const value = await taskGroup(async (group) => {
      group.createTask(async () => {
        await sleep(20);
        ended.push('slow');
      });
      group.createTask(async () => {
        await sleep(10);
        ended.push('quick');
      });
      return 'body';
    });
    expect(value).toBe('body');
    expect(ended).toEqual(['quick', 'slow']);
    expect(now()).toBe(20);
  });

  test('without children ends with its body', async () => {
    expect(await taskGroup(() => 1)).toBe(1);
    expect(now()).toBe(0);
  });

  test('gives tasks, whose results can be awaited inside and read after', async () => {
    const tasks = await taskGroup(async (group) => {
      const a = group.createTask(() => sleep(1, 1));
      const b = group.createTask(() => sleep(2, 2));
      expect(await a).toBe(1);
      return [a.name, b] as const;
    });
    expect(await tasks[1]).toBe(2);
  });

  test('joins the task that its body returns', async () => {
    expect(await taskGroup((group) => group.createTask(() => sleep(1, 'x')))).toBe('x');
  });

  test('cancels the rest when a child fails, and throws one ExceptionGroup', async () => {
    const ended: string[] = [];
    const errors = await errorsOf(
      taskGroup((group) => {
        group.createTask(() => fail(10));
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            ended.push(`cancelled at ${now()}`);
          }
        });
      }),
    );
    expect(errors).toEqual(['broken']);
    expect(ended).toEqual(['cancelled at 10']);
  });

  test('cancels its body when a child fails', async () => {
    let reached = false;
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await sleep(1000);
        reached = true;
      }),
    );
    expect(errors).toEqual(['broken']);
    expect(reached).toBe(false);
    expect(currentTask()?.cancelling()).toBe(0);
    await sleep(1); // No cancel is left.
  });

  test('cancels its children when the body fails, and throws the error in a group', async () => {
    let cancelled = false;
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => sleep(1000).catch(() => (cancelled = true)));
        await fail(10, 'in the body');
      }),
    );
    expect(errors).toEqual(['in the body']);
    expect(cancelled).toBe(true);
  });

  test('collects the errors of body and children, also those of cleanup', async () => {
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            await fail(5, 'in cleanup');
          }
        });
        group.createTask(() => fail(10, 'first'));
        try {
          await sleep(1000);
        } finally {
          await fail(1, 'in the body');
        }
      }),
    );
    expect(errors.toSorted()).toEqual(['first', 'in cleanup', 'in the body']);
    expect(now()).toBe(15);
  });

  test('keeps the errors of children that fail together', async () => {
    const gate = new Future<void>();
    const failAfterGate = async (message: string) => {
      await gate;
      throw new Error(message);
    };
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => failAfterGate('a'));
        group.createTask(() => failAfterGate('b'));
        await sleep(1);
        gate.setResult();
      }),
    );
    expect(errors).toEqual(['a', 'b']);
  });

  test('does not count a child that was cancelled as a failure', async () => {
    const value = await taskGroup(async (group) => {
      const child = group.createTask(() => sleep(1000));
      await sleep(1);
      child.cancel();
      return 'fine';
    });
    expect(value).toBe('fine');
  });

  test('throws the cancel of a child that its body awaits', async () => {
    const group = taskGroup(async (group) => {
      const child = group.createTask(() => sleep(1000));
      await sleep(1);
      child.cancel('no more');
      await child;
    });
    await expect(group).rejects.toThrow(CancelledError);
  });

  test('that is cancelled from outside cancels body and children, waits for them, and throws the cancel', async () => {
    const ended: string[] = [];
    const task = createTask(() =>
      taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            await sleep(5);
            ended.push('child');
          }
        });
        try {
          await sleep(1000);
        } finally {
          ended.push('body');
        }
      }),
    );
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow('enough');
    expect(ended).toEqual(['body', 'child']);
    expect(now()).toBe(15);
  });

  test('that is cancelled while it waits for its children cancels them', async () => {
    const ended: string[] = [];
    const task = createTask(() =>
      taskGroup((group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            await sleep(5);
            ended.push('child');
          }
        });
      }),
    );
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(task.cancelled()).toBe(true);
    expect(ended).toEqual(['child']);
  });

  test('does not interrupt a cleanup again when it is cancelled twice while leaving', async () => {
    const ended: string[] = [];
    const task = createTask(() =>
      taskGroup((group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            await sleep(50);
            ended.push('child');
          }
        });
      }),
    );
    await sleep(10);
    task.cancel();
    await sleep(10);
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(ended).toEqual(['child']);
    expect(now()).toBe(60);
  });

  test('whose children fail while it is cancelled throws the group, and renews the cancel', async () => {
    const seen: unknown[] = [];
    const task = createTask(async () => {
      seen.push(
        ...(await errorsOf(
          taskGroup(async (group) => {
            group.createTask(async () => {
              try {
                await sleep(1000);
              } finally {
                await fail(1, 'in cleanup');
              }
            });
            await sleep(1000);
          }),
        )),
      );
      seen.push(task.cancelling());
      await sleep(1000);
      seen.push('never');
    });
    await sleep(10);
    task.cancel('enough');
    await expect(task).rejects.toThrow(CancelledError);
    expect(seen).toEqual(['in cleanup', 1]);
    expect(now()).toBe(11);
  });

  test('takes tasks from its children, too, while it waits for them', async () => {
    const ended: string[] = [];
    await taskGroup((group) => {
      group.createTask(async () => {
        await sleep(10);
        group.createTask(async () => {
          await sleep(10);
          ended.push(`grandchild at ${now()}`);
        });
      });
    });
    expect(ended).toEqual(['grandchild at 20']);
  });

  test('takes no task when it has ended', async () => {
    let kept!: TaskGroup;
    await taskGroup((group) => {
      kept = group;
    });
    expect(() => kept.createTask(() => {})).toThrow(InvalidStateError);
    expect(() => kept.createTask(() => {})).toThrow('This task group has ended: it takes no new tasks');
  });

  test('takes no task when it is shutting down', async () => {
    let refusal: unknown;
    const errors = await errorsOf(
      taskGroup(
        (group) => {
          group.createTask(() => fail(1));
          group.createTask(async () => {
            try {
              await sleep(1000);
            } finally {
              try {
                group.createTask(() => {});
              } catch (error) {
                refusal = error;
              }
            }
          });
        },
        { name: 'load' },
      ),
    );
    expect(errors).toEqual(['broken']);
    expect(refusal).toBeInstanceOf(InvalidStateError);
    expect((refusal as Error).message).toBe('The task group load is shutting down: it takes no new tasks');
  });

  test('nests: an inner failure is a group inside the outer group', async () => {
    const errors = await errorsOf(
      taskGroup(async (outer) => {
        outer.createTask(() => fail(20, 'too late'));
        await taskGroup((inner) => {
          inner.createTask(() => fail(10, 'inner'));
        });
      }),
    );
    expect(errors).toEqual([['inner']]);
  });

  test('nests: an outer failure cancels the inner group', async () => {
    let cancelled = false;
    const errors = await errorsOf(
      taskGroup(async (outer) => {
        outer.createTask(() => fail(10, 'outer'));
        await taskGroup((inner) => {
          inner.createTask(() => sleep(1000).catch(() => (cancelled = true)));
        });
      }),
    );
    expect(errors).toEqual(['outer']);
    expect(cancelled).toBe(true);
  });

  test('under a timeout is cancelled by it, and the timeout is the error', async () => {
    await expect(
      timeout(10, () =>
        taskGroup((group) => {
          group.createTask(() => sleep(1000));
        }),
      ),
    ).rejects.toThrow(TimeoutError);
    expect(now()).toBe(10);
  });

  test('with a timeout around its body that catches goes on', async () => {
    const value = await taskGroup(async (group) => {
      const child = group.createTask(() => sleep(30, 'child'));
      await timeout(10, () => sleep(1000)).catch((error) => expect(error).toBeInstanceOf(TimeoutError));
      return child;
    });
    expect(value).toBe('child');
    expect(now()).toBe(30);
  });

  test('whose body swallows the cancel that a failure sent still throws the failure', async () => {
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await sleep(1000).catch(() => {});
        return 'ignored';
      }),
    );
    expect(errors).toEqual(['broken']);
  });

  test('runs its body in the same task, and its children in their own', async () => {
    const names: unknown[] = [];
    const outer = currentTask();
    await taskGroup(async (group) => {
      names.push(currentTask() === outer);
      group.createTask(() => void names.push(currentTask()?.name), { name: 'child' });
    });
    expect(names).toEqual([true, 'child']);
  });

  test('prints its errors as a tree', async () => {
    const error = await taskGroup(() => fail(1, 'leaf'), { name: 'load' }).catch((e: unknown) => e);
    expect((error as Error).message).toBe('unhandled errors in the task group load');
  });

  test('works without a current task', async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    queueMicrotask(() => resolve(taskGroup((group) => group.createTask(() => sleep(5, 'outside')))));
    expect(await until(promise)).toBe('outside');
  });
});

test('cancel() of a group beside a timeout that is winding down ends without an error', async () => {
  const beside = timeout(10, async () => {
    try {
      await sleep(1000);
    } finally {
      await sleep(100);
    }
  }).catch((error: unknown) => (error as Error).name);
  const group = taskGroup(async (group) => {
    await sleep(30);
    group.cancel();
    await sleep(1000);
  });
  expect(await Promise.all([beside, group])).toEqual(['TimeoutError', undefined]);
});

describe('a limit', () => {
  test('lets that many children run at once, in order', async () => {
    const started: string[] = [];
    let running = 0;
    let most = 0;
    await taskGroup(
      (group) => {
        for (const name of ['a', 'b', 'c', 'd']) {
          group.createTask(async () => {
            started.push(`${name} at ${now()}`);
            most = Math.max(most, ++running);
            await sleep(10);
            running--;
          });
        }
      },
      { limit: 2 },
    );
    expect(started).toEqual(['a at 0', 'b at 0', 'c at 10', 'd at 10']);
    expect(most).toBe(2);
  });

  test('is kept by a cancelled child until it has really ended', async () => {
    let running = 0;
    let most = 0;
    await taskGroup(
      async (group) => {
        const work = async () => {
          most = Math.max(most, ++running);
          try {
            await sleep(100);
          } finally {
            await sleep(20);
            running--;
          }
        };
        const first = group.createTask(work);
        group.createTask(work);
        await sleep(10);
        first.cancel();
      },
      { limit: 1 },
    );
    expect(most).toBe(1);
    expect(now()).toBe(150);
  });

  test('lets a child that waits for its turn be cancelled without starting', async () => {
    const started: string[] = [];
    await taskGroup(
      async (group) => {
        group.createTask(() => sleep(10));
        const second = group.createTask(() => void started.push('second'));
        group.createTask(() => void started.push('third'));
        await sleep(1);
        second.cancel();
      },
      { limit: 1 },
    );
    expect(started).toEqual(['third']);
  });

  test('counts tasks of start() as well: they keep their slot as long as they run', async () => {
    const log: string[] = [];
    const server = async (started: (name: string) => void) => {
      started(`ready at ${now()}`);
      await sleep(10);
    };
    await taskGroup(
      async (group) => {
        log.push(await group.start(server), await group.start(server));
      },
      { limit: 1 },
    );
    expect(log).toEqual(['ready at 0', 'ready at 10']);
  });
});

describe('start()', () => {
  test('waits until the task says that it is ready, with a value', async () => {
    const order: string[] = [];
    await taskGroup(async (group) => {
      const port = await group.start<number>(async (started) => {
        await sleep(10);
        started(8080);
        await sleep(10);
        order.push('closed');
      });
      order.push(`listens on ${port} at ${now()}`);
    });
    expect(order).toEqual(['listens on 8080 at 10', 'closed']);
  });

  test('throws what the task throws before it is ready, and the group lives on', async () => {
    const value = await taskGroup(async (group) => {
      await expect(group.start(() => fail(5, 'port in use'))).rejects.toThrow('port in use');
      return sleep(5, 'alive');
    });
    expect(value).toBe('alive');
  });

  test('says so if the task ends without being ready', async () => {
    await taskGroup(async (group) => {
      await expect(group.start(async () => {}, { name: 'server' })).rejects.toThrow(
        'The task server given to start() ended without calling started()',
      );
    });
  });

  test('leaves a failure after that to the group', async () => {
    const errors = await errorsOf(
      taskGroup(async (group) => {
        await group.start<void>(async (started) => {
          started();
          await fail(5, 'later');
        });
        await sleep(1000);
      }),
    );
    expect(errors).toEqual(['later']);
  });

  test('that is cancelled while it waits cancels the task', async () => {
    let cancelled = false;
    await taskGroup(async (group) => {
      await timeout(5, () => group.start(() => sleep(1000).catch(() => (cancelled = true)))).catch(() => {});
    });
    expect(cancelled).toBe(true);
    expect(now()).toBe(5);
  });
});

describe('cancel() of a group', () => {
  test('cancels body and children, and the group ends without an error', async () => {
    const ended: string[] = [];
    const value = await taskGroup(async (group) => {
      group.createTask(() => sleep(1000).catch((error) => ended.push(`child: ${(error as Error).message}`)));
      group.createTask(async () => {
        await sleep(10);
        group.cancel('found');
      });
      try {
        await sleep(1000);
      } catch (error) {
        ended.push(`body: ${(error as Error).message}`);
        throw error;
      }
    });
    expect(value).toBeUndefined();
    expect(ended.toSorted()).toEqual(['body: found', 'child: found']);
    expect(currentTask()?.cancelling()).toBe(0);
    expect(now()).toBe(10);
  });

  test('by its own body comes at the next wait', async () => {
    const steps: string[] = [];
    await taskGroup(async (group) => {
      group.cancel();
      steps.push('goes on');
      await sleep(10);
      steps.push('never');
    });
    expect(steps).toEqual(['goes on']);
  });

  test('that meets a failure throws the failure', async () => {
    const errors = await errorsOf(
      taskGroup(async (group) => {
        group.createTask(async () => {
          try {
            await sleep(1000);
          } finally {
            await fail(1, 'in cleanup');
          }
        });
        await sleep(5);
        group.cancel();
        await sleep(1000);
      }),
    );
    expect(errors).toEqual(['in cleanup']);
  });

  test('does not swallow a cancel from outside, nor a timeout', async () => {
    await expect(
      timeout(10, () =>
        taskGroup(async (group) => {
          group.createTask(async () => {
            await sleep(1000).catch(() => {});
            group.cancel();
          });
          await sleep(1000);
        }),
      ),
    ).rejects.toThrow(TimeoutError);
  });

  test('of a group that has ended does nothing', async () => {
    let kept!: TaskGroup;
    await taskGroup((group) => {
      kept = group;
    });
    kept.cancel();
    await sleep(1);
  });
});

describe('a failure in a group', () => {
  test('does not hurt a task that the group did not make', async () => {
    const bystander = createTask(() => sleep(50, 'unharmed'));
    await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await bystander;
      }),
    );
    await expect(bystander).rejects.toSatisfy(isCancelled); // The body was its sole waiter: it was cancelled with it.
    const shared = createTask(() => sleep(50, 'unharmed'));
    const other = createTask(() => shared);
    await sleep(1);
    await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await shared;
      }),
    );
    expect(await other).toBe('unharmed');
  });

  test('is delivered to every wait of the body', async () => {
    const ended: string[] = [];
    const wait = (name: string) => sleep(1000).catch(() => ended.push(name));
    await errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await Promise.all([wait('a'), wait('b')]);
      }),
    );
    expect(ended).toEqual(['a', 'b']);
  });

  test('that comes when the body waits for a foreign promise ends the group when that has settled', async () => {
    const foreign = new Future<void>();
    const native = (async () => await foreign._promise())();
    const errors = errorsOf(
      taskGroup(async (group) => {
        group.createTask(() => fail(10));
        await native.then(() => {});
      }),
    );
    await sleep(20);
    foreign.setResult();
    expect(await errors).toEqual(['broken']);
  });
});
