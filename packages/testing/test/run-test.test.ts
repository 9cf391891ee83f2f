import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createTask, DeadlockError, getRunningLoop, InvalidStateError, Queue, sleep, trackIO } from '@aiokit/core';
import {
  backgroundTask,
  LeakError,
  OperationStalledError,
  runTest,
  TestTimeoutError,
  VirtualClock,
} from '@aiokit/testing';
import { describe, expect, test } from 'vitest';

/** The error that a run ends with. */
async function failureOf(run: Promise<unknown>): Promise<Error> {
  try {
    await run;
  } catch (error) {
    return error as Error;
  }
  throw new Error('It did not fail');
}

test('a body runs in virtual time and returns its value', async () => {
  const value = await runTest(async ({ clock, loop }) => {
    await sleep(3_600_000);
    expect(clock.now()).toBe(3_600_000);
    expect(loop).toBe(getRunningLoop());
    return 'value' as const;
  });
  expect(value).toBe('value');
});

test('a failure of the body is the failure of the test', async () => {
  const error = new Error('as thrown');
  await expect(runTest(() => Promise.reject(error))).rejects.toBe(error);
  await expect(
    runTest(() => {
      throw error;
    }),
  ).rejects.toBe(error);
});

test('a live test runs in real time', async () => {
  await runTest(
    async ({ clock }) => {
      const before = performance.now();
      await sleep(5);
      expect(performance.now() - before).toBeGreaterThan(4);
      expect(clock.real).toBe(true);
    },
    { live: true },
  );
});

describe('bad use', () => {
  test('a test in a test is refused', async () => {
    const error = await failureOf(runTest(() => runTest(() => {}), { name: 'outer' }));
    expect(error).toBeInstanceOf(InvalidStateError);
    expect(error.message).toBe(
      "runTest() inside the test 'outer', whose clock would stand still meanwhile: call the function itself",
    );
  });

  test('a promise instead of a function is refused', async () => {
    await expect(runTest(Promise.resolve() as never)).rejects.toThrow('body must be a function, got Promise');
  });

  test('bad options are refused by name', async () => {
    await expect(runTest(() => {}, { timeout: -1 })).rejects.toThrow(
      'options.timeout must be a number of milliseconds >= 0, got -1',
    );
    await expect(runTest(() => {}, { start: 'yesterday' })).rejects.toThrow('options.start must be');
  });

  test('advance on a clock that moves by itself is refused', () =>
    runTest(({ clock }) => {
      expect(() => clock.advance(5)).toThrow(
        'advance(5) on a clock that moves by itself: await sleep(5) instead, or make the clock with { autoJump: false }',
      );
    }));

  test('a negative time is refused', () =>
    runTest(
      ({ clock }) => {
        expect(() => clock.advance(-5)).toThrow(new RangeError('ms must be a number of milliseconds >= 0, got -5'));
        expect(() => clock.advance('5' as never)).toThrow(TypeError);
      },
      { autoJump: false },
    ));

  test('a clock is refused after its test', async () => {
    const clock = await runTest(({ clock }) => clock);
    expect(() => clock.setTimer(5, () => {})).toThrow(
      'Cannot set a timer on a VirtualClock whose test or run() is over. Something was left running: await it, or cancel it',
    );
    expect(() => clock.runUntilIdle()).toThrow('Cannot move a VirtualClock');
    await expect(clock.hold(() => {})).rejects.toThrow('Cannot hold a VirtualClock');
  });

  test('a clock in two tests at once is refused', async () => {
    const clock = new VirtualClock();
    const first = runTest(() => sleep(5), { clock });
    await expect(runTest(() => sleep(5), { clock })).rejects.toThrow('This VirtualClock belongs to');
    await first;
  });
});

describe('a test that cannot end', () => {
  test('fails at once when nothing is left to run, with who waits for what and where', async () => {
    const queue = new Queue<string>();
    const error = await failureOf(
      runTest(async () => {
        const reader = createTask(() => queue.get(), { name: 'reader' });
        await reader;
      }),
    );
    expect(error).toBeInstanceOf(DeadlockError);
    expect(error.message).toMatch(/test.*\n\s+reader waits for Queue.get.*run-test\.test\.ts/s);
  });

  test('fails after its limit in real time, with how much virtual time has passed', async () => {
    const error = await failureOf(
      runTest(
        async () => {
          for (;;) await sleep(1_000);
        },
        { timeout: 100, name: 'ticks for ever' },
      ),
    );
    expect(error).toBeInstanceOf(TestTimeoutError);
    expect(error.message).toMatch(
      /^The test 'ticks for ever' took longer than 100 ms of real time. Meanwhile \d+000 ms of virtual time passed, in \d+ jumps.\nTasks:\nticks for ever waits for sleep pending.* at .*run-test.test.ts/,
    );
  });

  test('names an operation that is in flight for long', async () => {
    const error = await failureOf(
      runTest(
        async () => {
          const operation = trackIO('pg.query', { label: 'select pg_sleep(60)' });
          try {
            await sleep(1);
          } finally {
            operation.end();
          }
        },
        { ioTimeout: 50 },
      ),
    );
    expect(error).toBeInstanceOf(OperationStalledError);
    expect(error.message).toMatch(/^pg.query select pg_sleep\(60\), in flight for \d+ ms of real time: virtual time/);
  });

  test('names an open-ended wait that nothing ends', async () => {
    const error = await failureOf(
      runTest(
        async () => {
          const operation = trackIO('redis.command', { label: 'BLPOP jobs 0', open: true });
          try {
            await new Queue().get();
          } finally {
            operation.end();
          }
        },
        { timeout: 100 },
      ),
    );
    expect(error.message).toContain('Operations in flight:\n- redis.command BLPOP jobs 0 (open-ended)\nTasks:\n');
  });

  test('runs its finally blocks', async () => {
    const log: string[] = [];
    await failureOf(
      runTest(async () => {
        try {
          await new Queue().get();
        } finally {
          await sleep(1_000);
          log.push('cleaned up');
        }
      }),
    );
    expect(log).toEqual(['cleaned up']);
  });
});

describe('what a test leaves behind', () => {
  test('fails it: a task, with where it was made', async () => {
    const error = await failureOf(runTest(() => void createTask(() => sleep(1_000), { name: 'forgotten' })));
    expect(error).toBeInstanceOf(LeakError);
    expect(error.message).toMatch(/- task forgotten still runs at .*run-test\.test\.ts/);
  });

  test('fails it: a timer, with where it was set', async () => {
    const error = await failureOf(runTest(() => void getRunningLoop().callLater(60_000, () => {})));
    expect(error.message).toMatch(/- a timer is set for 60000 ms, in 60000 ms at .*run-test\.test\.ts/);
    await runTest(
      () =>
        void getRunningLoop()
          .callLater(60_000, () => {})
          .unref(),
    );
  });

  test('fails it: a real interval, with where it was set', async () => {
    let interval: NodeJS.Timeout | undefined;
    const error = await failureOf(
      runTest(() => {
        interval = setInterval(() => {}, 1_000);
        setInterval(() => {}, 1_000).unref();
        clearInterval(setInterval(() => {}, 1_000));
        setTimeout(() => {}, 10);
      }),
    );
    clearInterval(interval);
    expect(error.message).toMatch(/- a real setInterval of 1000 ms is set at .*run-test\.test\.ts:\d+:\d+\)?$/);
  });

  test('fails it: a connection, with where it was opened', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    let socket = connect({ port, host: '127.0.0.1' });
    const error = await failureOf(
      runTest(async () => {
        socket.destroy();
        socket = connect({ port, host: '127.0.0.1' });
        await once(socket, 'connect');
      }),
    );
    expect(error.message).toMatch(new RegExp(`- a connection is open: 127.0.0.1:${port} at .*run-test.test.ts`));
    socket.destroy();
    await runTest(async () => {
      const other = connect({ port, host: '127.0.0.1' });
      await once(other, 'connect');
      other.end();
    });
    server.close();
  });

  test('fails it: a failure that nobody took', async () => {
    const cause = new Error('in the background');
    const error = await failureOf(
      runTest(async () => {
        createTask(() => Promise.reject(cause), { name: 'audit' });
        await sleep(1);
      }),
    );
    expect(error.message).toMatch(
      /- The exception of Task audit failed was never retrieved.*: Error: in the background/,
    );
    expect(error.cause).toBe(cause);
  });

  test('is allowed per kind', async () => {
    const leaking = () => {
      getRunningLoop().callLater(60_000, () => {});
      createTask(() => sleep(1_000));
    };
    await expect(runTest(leaking, { allowLeaks: { tasks: true } })).rejects.toThrow('a timer is set');
    await expect(runTest(leaking, { allowLeaks: { timers: true } })).rejects.toThrow('still runs');
    await runTest(leaking, { allowLeaks: { tasks: true, timers: true } });
    await runTest(leaking, { allowLeaks: true });
  });
});

describe('backgroundTask', () => {
  test('is cancelled at the end, and its cleanup is awaited', async () => {
    const log: unknown[] = [];
    await runTest(async ({ clock, backgroundTask }) => {
      backgroundTask(async () => {
        try {
          for (;;) {
            await sleep(100);
            log.push(clock.now());
          }
        } finally {
          await sleep(50);
          log.push('closed');
        }
      });
      await sleep(250);
    });
    expect(log).toEqual([100, 200, 'closed']);
  });

  test('fails the test when it fails', async () => {
    const run = runTest(async () => {
      backgroundTask(async () => {
        await sleep(5);
        throw new Error('worker crashed');
      });
      await sleep(1_000);
    });
    await expect(run).rejects.toThrow('worker crashed');
  });

  test('is refused outside of a test', () => {
    expect(() => backgroundTask(() => {})).toThrow(
      'backgroundTask() outside of a test: use createTask(), and await it',
    );
  });

  test('is no reason for runUntilIdle to go on', () =>
    runTest(
      async ({ clock }) => {
        backgroundTask(async () => {
          for (;;) await sleep(10);
        });
        const task = createTask(() => sleep(35));
        await clock.runUntilIdle();
        expect(clock.now()).toBe(35);
        await task;
      },
      { autoJump: false },
    ));
});
