import { execFile, spawn } from 'node:child_process';
import { randomBytes, scrypt } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { promisify } from 'node:util';
import {
  createTask,
  gather,
  getRunningLoop,
  InvalidStateError,
  Queue,
  run,
  sleep,
  timeout,
  trackIO,
} from '@aiokit/core';
import { runTest, VirtualClock } from '@aiokit/testing';
import { describe, expect, test } from 'vitest';

/** Real ms, whatever the virtual clock does. */
const really = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

describe('time', () => {
  test('passes at once, in the order of the timers, first set first', () =>
    runTest(async ({ clock }) => {
      const log: string[] = [];
      await gather(
        [30, 10, 20, 10].map((ms, i) => async () => {
          await sleep(ms);
          log.push(`${i} at ${clock.now()}`);
        }),
      );
      expect(log).toEqual(['1 at 10', '3 at 10', '2 at 20', '0 at 30']);
    }));

  test('has a wall clock that begins where it is told to', () => {
    expect(new VirtualClock({ start: '2030-05-01T12:00:00Z' }).wallTime()).toBe(Date.UTC(2030, 4, 1, 12));
    expect(new VirtualClock({ start: new Date(5) }).wallTime()).toBe(5);
    expect(new VirtualClock({ start: 7 }).wallTime()).toBe(7);
    expect(Math.abs(new VirtualClock().wallTime() - Date.now())).toBeLessThan(1_000);
  });

  test('is not kept going by timers without a reference', async () => {
    await expect(
      runTest(async () => {
        getRunningLoop()
          .callLater(10, () => {})
          .unref();
        await new Queue().get();
      }),
    ).rejects.toThrow('Deadlock');
  });

  test('passes a day with 10,000 timers in less than a second', async () => {
    const clock = new VirtualClock();
    const before = process.cpuUsage();
    let fired = 0;
    await run(
      () =>
        gather(
          Array.from({ length: 10_000 }, (_, i) => async () => {
            await sleep(((i * 7_919) % 10_000) * 8_640);
            fired++;
          }),
        ),
      { clock },
    );
    expect(fired).toBe(10_000);
    expect(clock.now()).toBeGreaterThan(86_000_000);
    const { user, system } = process.cpuUsage(before); // In µs. Other processes of a busy machine do not count.
    expect((user + system) / 1_000).toBeLessThan(1_000);
  });

  test('forgets timers that were taken back', () =>
    runTest(async ({ clock }) => {
      for (let i = 0; i < 1_000; i++) clock.setTimer(1e9, () => {}).cancel();
      expect((clock as unknown as { timers: { queue: { length: number } } }).timers.queue.length).toBeLessThan(100);
      await sleep(1);
    }));
});

describe('a manual clock', () => {
  const manual = { autoJump: false };

  test('moves as far as it is told, through every timer on the way', () =>
    runTest(async ({ clock }) => {
      const ticks: number[] = [];
      const task = createTask(async () => {
        for (let i = 0; i < 5; i++) {
          await sleep(10);
          ticks.push(clock.now());
        }
      });
      await really(5);
      expect(clock.now()).toBe(0);
      await clock.advance(35);
      expect([ticks, clock.now()]).toEqual([[10, 20, 30], 35]);
      await clock.advance(0);
      await clock.runUntilIdle();
      expect([ticks, clock.now()]).toEqual([[10, 20, 30, 40, 50], 50]);
      await task;
    }, manual));

  test('waits for operations in flight before it moves', () =>
    runTest(async ({ clock }) => {
      const log: string[] = [];
      createTask(async () => {
        const operation = trackIO('work');
        await really(20);
        log.push(`answer at ${clock.now()}`);
        operation.end();
      });
      await clock.advance(1_000);
      expect(log).toEqual(['answer at 0']);
    }, manual));

  test('stops where it is when the wait is cancelled', () =>
    runTest(async ({ clock }) => {
      createTask(async () => {
        await sleep(20);
        move.cancel();
      });
      const move = createTask(() => clock.advance(100));
      await expect(move).rejects.toThrow();
      expect(clock.now()).toBe(20);
      await clock.advance(5);
      expect(clock.now()).toBe(25);
    }, manual));

  test('goes one way at a time', () =>
    runTest(async ({ clock }) => {
      const first = createTask(() => clock.advance(100));
      await sleep(0);
      await sleep(0);
      expect(() => clock.advance(5)).toThrow('advance() while advance() is on its way: await that first');
      await first;
    }, manual));

  test('is told when nobody moves it', async () => {
    await expect(runTest(() => sleep(5), manual)).rejects.toThrow('Deadlock: 1 task(s) wait');
  });
});

test('time stands still while it is held, and can be moved by hand', () =>
  runTest(async ({ clock }) => {
    const task = createTask(() => sleep(50));
    const value = await clock.hold(async () => {
      await really(10);
      expect([clock.now(), task.done()]).toEqual([0, false]);
      await clock.advance(20);
      return clock.now();
    });
    expect(value).toBe(20);
    await task;
    expect(clock.now()).toBe(50);
  }));

describe('time does not move while', () => {
  const tooLate = async (fn: () => Promise<unknown>) =>
    runTest(async ({ clock }) => {
      await timeout(1, fn);
      expect(clock.now()).toBe(0);
    });

  test('an adapter reports an operation', () =>
    tooLate(async () => {
      const operation = trackIO('work');
      await really(10);
      operation.end();
    }));
  test('a file is read', () => tooLate(() => readFile('/proc/self/status')));
  test('a name is looked up', () => tooLate(() => lookup('localhost')));
  test('a key is derived', () => tooLate(() => promisify(scrypt)('password', 'salt', 64)));
  test('random bytes are made', () => tooLate(() => promisify(randomBytes)(1_000_000)));
  test('something is hashed by WebCrypto', () => tooLate(() => crypto.subtle.digest('SHA-256', new Uint8Array(1e6))));
  test('a real setTimeout of a task runs', () => tooLate(() => really(20)));
  test('a child process runs', () =>
    tooLate(async () => {
      const script = 'setTimeout(() => console.log("done"), 100)';
      const { stdout } = await promisify(execFile)(process.execPath, ['--eval', script]);
      expect(stdout).toBe('done\n');
    }));
  test('setImmediates follow each other', () =>
    tooLate(async () => {
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    }));

  test('a socket without an adapter is not quiet', async () => {
    const server = createServer((socket) => {
      socket.on('data', () => setTimeout(() => socket.end('answer'), 5));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await runTest(
      async ({ clock }) => {
        const answer = await timeout(1, async () => {
          const socket = connect({ port, host: '127.0.0.1' });
          socket.write('question');
          const [data] = await once(socket, 'data');
          return String(data);
        });
        expect([answer, clock.now()]).toEqual(['answer', 0]);
      },
      { quiet: 100 },
    );
    server.close();
  });
});

describe('time moves although', () => {
  test('the clock set timers of its own while a task waited for real ones, and for files', () =>
    runTest(async ({ clock }) => {
      for (let i = 0; i < 100; i++) {
        await really(1);
        await sleep(1);
        await readFile('/proc/self/status');
        await sleep(1);
      }
      expect(clock.now()).toBe(200);
    }));

  test('a real timer that a task set is longer than the limit for operations', () =>
    runTest(
      async () => {
        const idle = setTimeout(() => {}, 1_000);
        await sleep(60_000);
        clearTimeout(idle);
      },
      { ioTimeout: 500 },
    ));

  test('a child process goes on that has no reference, or for longer than the limit for operations', () =>
    runTest(
      async ({ clock }) => {
        const children = [0, 1].map(() => spawn(process.execPath, ['--eval', 'setTimeout(() => {}, 60_000)']));
        children[0]?.unref();
        await sleep(60_000);
        await expect(promisify(execFile)('no such program')).rejects.toThrow('ENOENT');
        await sleep(60_000);
        await clock.hold(() => Promise.all(children.map((child) => child.kill() && once(child, 'exit'))));
      },
      { ioTimeout: 500, allowLeaks: { connections: true } },
    ));

  test('an operation is open-ended', () =>
    runTest(async () => {
      const operation = trackIO('listen', { open: true });
      await sleep(60_000);
      operation.end();
    }));

  test('a server of this process works on the request', () =>
    runTest(async () => {
      const operation = trackIO('http', { served: true });
      await sleep(60_000);
      operation.end();
    }));

  test('another session of this loop blocks the operation', () =>
    runTest(async ({ clock }) => {
      let blocked = true;
      const operation = trackIO('pg', { blockedBy: async () => (blocked ? [4711] : []) });
      const before = performance.now();
      await sleep(60_000);
      expect(performance.now() - before).toBeGreaterThan(95);
      // The lock is let go of: now it is an operation like any other.
      blocked = false;
      trackIO('pg', { label: 'commit' }).end();
      const sleeper = createTask(() => sleep(1));
      await really(30);
      expect([sleeper.done(), clock.now()]).toEqual([false, 60_000]);
      operation.end();
      await sleeper;
    }));
});

describe('before a jump', () => {
  test('open-ended operations are fenced when anything has arrived', () =>
    runTest(async ({ clock }) => {
      const queue = new Queue<string>();
      let sent: string | null = null;
      // What was sent before the fence's answer has arrived when that does.
      const fence = async () => {
        await really(5);
        if (sent !== null) queue.putNowait(sent);
        sent = null;
      };
      const operation = trackIO('redis', { label: 'BLPOP jobs', open: true, fence });
      createTask(async () => {
        const push = trackIO('redis', { label: 'LPUSH jobs' });
        await really(5);
        sent = 'job';
        push.end();
      });
      expect(await timeout(1, () => queue.get())).toBe('job');
      expect(clock.now()).toBe(0);
      operation.end();
    }));

  test('a peer that cannot be asked is given a short real time', () =>
    runTest(
      async ({ clock }) => {
        const queue = new Queue<string>();
        const operation = trackIO('websocket', { label: 'ws://…', open: true });
        setTimeout(() => queue.putNowait('message'), 20).unref();
        expect(await timeout(1, () => queue.get())).toBe('message');
        expect(clock.now()).toBe(0);
        operation.end();
      },
      { quiet: 500 },
    ));

  test('a peer that does not answer when it is asked is named', async () => {
    const run = runTest(
      async () => {
        const operation = trackIO('redis', { label: 'BLPOP jobs', open: true, fence: () => new Promise(() => {}) });
        try {
          await sleep(1);
        } finally {
          operation.end();
        }
      },
      { ioTimeout: 50 },
    );
    await expect(run).rejects.toThrow('redis BLPOP jobs (asked whether anything is on its way), in flight for 50 ms');
  });

  test('they are not fenced again when nothing has arrived since', () =>
    runTest(async () => {
      let fences = 0;
      const operation = trackIO('listen', { open: true, fence: async () => void fences++ });
      for (let i = 0; i < 100; i++) await sleep(1_000);
      expect(fences).toBeLessThan(20);
      operation.end();
    }));
});

test('a clock is one loop’s at a time', async () => {
  const clock = new VirtualClock();
  const first = run(() => sleep(5), { clock, name: 'first' });
  await expect((async () => run(() => sleep(5), { clock }))()).rejects.toThrow(InvalidStateError);
  await first;
  await run(() => sleep(5), { clock });
  expect(clock.now()).toBe(10);
});
