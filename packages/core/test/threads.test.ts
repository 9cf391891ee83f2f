/** toThread and runInExecutor: where the work runs, what crosses the border, and what a cancel does to it. */
import { threadId } from 'node:worker_threads';
import {
  CancelledError,
  createTask,
  currentTask,
  gather,
  getRunningLoop,
  InvalidStateError,
  run,
  sleep,
  TimeoutError,
  timeout,
} from '@aiokit/core';
import { ProcessPoolExecutor, ThreadPoolExecutor, toThread, transfer, workerFn } from '@aiokit/core/threads';
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';
import type * as work from './support/threads-work.ts';
import { now, test } from './support/virtual.ts';

const workFile = new URL('./support/threads-work.ts', import.meta.url);
const execArgv = ['--conditions=@aiokit/source'];

/** A number that this thread and a worker see. */
const cell = () => new Int32Array(new SharedArrayBuffer(4));
/** Runs for ever, and counts. */
const countForEver = (counter: Int32Array): never => {
  for (;;) Atomics.add(counter, 0, 1);
};
const untilSet = async (flag: Int32Array) => {
  while (Atomics.load(flag, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
};

describe('toThread', () => {
  it('runs a self-contained function in another thread', async () => {
    const id = await toThread(() => process.getBuiltinModule('node:worker_threads').threadId);
    expect(id).not.toBe(threadId);
  });

  it('passes arguments and awaits what the function returns, there', async () => {
    const later = async (name: string, { times }: { times: number }) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return name.repeat(times);
    };
    expect(await toThread(later, 'ab', { times: 2 })).toBe('abab');
  });

  it('takes methods as well as arrows', async () => {
    const object = {
      method(n: number) {
        return n + 1;
      },
      async asyncMethod(n: number) {
        return n + 2;
      },
    };
    expect(await gather([toThread(object.method, 1), toThread(object.asyncMethod, 1)])).toEqual([2, 3]);
  });

  it('lets the function import, though a tool has rewritten it: vite does', async () => {
    const importing = async (path: string) => (await import('node:path')).basename(path);
    expect(await toThread(importing, '/a/b')).toBe('b');
  });

  it('does not hold the loop', async () => {
    const flag = cell();
    const blocked = toThread((flag: Int32Array) => Atomics.wait(flag, 0, 0, 10_000), flag);
    await sleep(5); // If the wait were in this thread, nobody would set the flag.
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    expect(await blocked).not.toBe('timed-out');
  });

  it('runs the function of a module with all that is around it, from TypeScript', async () => {
    expect(await toThread(workerFn<typeof work.double>(workFile, 'double'), { numbers: [1, 2] })).toEqual([2, 4]);
  });

  test('holds virtual time until the work is done', async () => {
    const flag = cell();
    const wait = (flag: Int32Array) => Atomics.wait(flag, 0, 0, 30);
    expect(await timeout(1_000, () => toThread(wait, flag))).toBe('timed-out');
    expect(now()).toBe(0);
    await sleep(60_000); // An idle worker holds nothing.
    const pool = new ThreadPoolExecutor();
    await pool.submit(() => 1);
    await pool.shutdown();
    expect(now()).toBe(60_000);
  });

  it('names the function for reports while it runs', async () => {
    const flag = cell();
    const names = () => [...getRunningLoop().activity.operations].map(({ kind, label }) => `${kind} ${label}`);
    const job = toThread(function waitForFlag(flag: Int32Array) {
      Atomics.wait(flag, 0, 0, 10_000);
    }, flag);
    expect(names()).toContain('thread waitForFlag');
    expect(job.describe()).toBe('thread waitForFlag pending');
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    await job;
    expect(names()).toEqual([]);
  });
});

describe('a cancel', () => {
  it('ends a busy loop, and comes when it has ended', async () => {
    const counter = cell();
    const task = createTask(() => toThread(countForEver, counter));
    await untilSet(counter);
    task.cancel('enough');
    await expect(task).rejects.toThrow(CancelledError);
    const counted = Atomics.load(counter, 0);
    expect(Atomics.wait(counter, 0, counted, 50)).toBe('timed-out');
    expect(Atomics.load(counter, 0)).toBe(counted);
  });

  it('by a timeout ends it, too', async () => {
    const counter = cell();
    await expect(timeout(50, () => toThread(countForEver, counter))).rejects.toThrow(TimeoutError);
    const counted = Atomics.load(counter, 0);
    expect(Atomics.wait(counter, 0, counted, 50)).toBe('timed-out');
  });

  it('leaves the pool whole: the next job has a new worker', async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const id = () => process.getBuiltinModule('node:worker_threads').threadId;
    const before = await pool.submit(id);
    const counter = cell();
    const job = pool.submit(countForEver, counter);
    await untilSet(counter);
    job.cancel();
    await expect(job).rejects.toThrow(CancelledError);
    expect(await pool.submit(id)).toBeGreaterThan(before);
  });

  it('holds the slot until the worker has ended', async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const counter = cell();
    const job = pool.submit(countForEver, counter);
    await untilSet(counter);
    const next = pool.submit(() => 'next');
    job.cancel();
    expect(pool.statistics()).toEqual({ queued: 1, running: 0, idle: 0, workers: 1 });
    expect(job.done()).toBe(false);
    expect(await next).toBe('next');
    expect(job.cancelled()).toBe(true);
  });

  it('takes a job that waits out of the line, unsent and at once', async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1 });
    const [gate, touched] = [cell(), cell()];
    const first = pool.submit((gate: Int32Array) => Atomics.wait(gate, 0, 0, 10_000), gate);
    const second = pool.submit((cell: Int32Array) => Atomics.store(cell, 0, 1), touched);
    const third = pool.submit(() => 3);
    expect(second.cancel()).toBe(true);
    expect(second.cancelled()).toBe(true);
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    await first;
    expect(await third).toBe(3);
    expect(touched[0]).toBe(0);
  });

  it('that comes after the work was done delivers the value and stays pending', async () => {
    const flag = cell();
    const done = (flag: Int32Array) => {
      // After the answer was sent.
      setImmediate(() => {
        Atomics.store(flag, 0, 1);
        Atomics.notify(flag, 0);
      });
      return 'value';
    };
    await toThread(() => 'warm'); // A worker is idle: the job is sent at the call.
    const work = async () => {
      const value = await toThread(done, flag);
      expect(currentTask()?.cancelling()).toBe(1);
      await expect(sleep(1)).rejects.toThrow(CancelledError);
      return value;
    };
    const task = createTask(work, { eager: true });
    // The loop is held: the answer is there, and nobody has read it.
    expect(Atomics.wait(flag, 0, 0, 10_000)).not.toBe('timed-out');
    task.cancel();
    expect(await task).toBe('value');
  });

  it('of everything at once leaves no thread and no operation behind', async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 3, idleTimeout: 1 });
    for (let round = 0; round < 3; round++) {
      const counters = Array.from({ length: 200 }, cell);
      const jobs = counters.map((counter) => pool.submit(countForEver, counter));
      await untilSet(counters[0] as Int32Array);
      for (const job of jobs) job.cancel();
      for (const job of jobs) await expect(job).rejects.toThrow(CancelledError);
      expect(counters.filter((counter) => counter[0] !== 0).length).toBeLessThanOrEqual(3);
    }
    await pool.shutdown();
    expect(pool.statistics()).toEqual({ queued: 0, running: 0, idle: 0, workers: 0 });
    expect(getRunningLoop().activity.operations.size).toBe(0);
  });
});

describe('what crosses the border', () => {
  it('is copied; what is in transfer() is moved there', async () => {
    const [copied, moved] = [new Uint8Array(8), new Uint8Array(8).fill(1)];
    const sum = (a: Uint8Array, b: Uint8Array) => a.length + b.reduce((x, y) => x + y, 0);
    expect(await toThread(sum, copied, transfer(moved))).toBe(16);
    expect([copied.byteLength, moved.byteLength]).toEqual([8, 0]);
  });

  it('and moved back', async () => {
    await using pool = new ThreadPoolExecutor({ maxWorkers: 1, execArgv });
    const { bytes } = await pool.submit(workerFn<typeof work.makeBytes>(workFile, 'makeBytes'), 8);
    expect(bytes).toEqual(new Uint8Array(8).fill(7));
    expect(await pool.submit(workerFn<typeof work.bytesLeft>(workFile, 'bytesLeft'))).toBe(0);
  });

  it('must be data: an argument that is not says which one it is', async () => {
    const job = toThread(
      (a: number, b: unknown) => [a, b],
      1,
      () => {},
    );
    await expect(job).rejects.toThrow(
      /^args\[1\] of an anonymous function cannot be sent to another thread or process/,
    );
    await expect(job).rejects.toThrow(TypeError);
  });

  it('must be data: a result that is not is an error', async () => {
    const job = toThread(function make() {
      return { call: () => {} };
    });
    await expect(job).rejects.toThrow(/^What make returned cannot be sent to another thread or process: /);
  });
});

describe('a function', () => {
  it('that uses a variable around it fails with advice', async () => {
    const around = [1];
    const closure = () => around.length;
    await expect(toThread(closure)).rejects.toMatchObject({
      name: 'ReferenceError',
      message:
        'around is not defined in the worker. Only the source text of closure is sent: it sees its arguments and globals, ' +
        'and nothing around it. Pass around as an argument, import() it inside, or export the function from a module and ' +
        "use workerFn(import.meta.url, 'closure')",
      cause: expect.objectContaining({ message: 'around is not defined' }),
    });
  });

  it('that has no source text is refused at the call', () => {
    const bound = (() => 1).bind(null);
    expect(() => toThread(bound)).toThrow(/^fn must be a function whose source text can be sent/);
    expect(() => toThread(Math.max, 1, 2)).toThrow(TypeError);
    expect(() => toThread(class Work {} as never)).toThrow(TypeError);
  });

  it('must be one: a promise is refused with advice', () => {
    expect(() => toThread(Promise.resolve() as never)).toThrow(/pass \(\) => work\(\)/);
    expect(() => toThread(undefined as never)).toThrow(/^fn must be a function, got undefined$/);
  });

  it('that its module does not export is an error that says what it does', async () => {
    const missing = toThread(workerFn<() => void>(workFile, 'triple'));
    await expect(missing).rejects.toThrow(/exports no function 'triple'\. It exports .*double/);
    await expect(toThread(workerFn<() => void>(workFile, 'notAFunction'))).rejects.toThrow(TypeError);
  });

  it('is named by a module URL and a name', () => {
    expect(() => workerFn('./work.ts', 'f')).toThrow(/^module must be the URL of a module/);
    expect(() => workerFn(import.meta.url, undefined as never)).toThrow(/^name must be/);
  });
});

describe('inside a worker', () => {
  const options = { maxWorkers: 1, execArgv };

  it('tasks, sleeps and run() work on loops of its own', async () => {
    await using pool = new ThreadPoolExecutor(options);
    const [inTask, outside] = await pool.submit(workerFn<typeof work.tasks>(workFile, 'tasks'));
    expect(inTask).toBe(outside);
    expect(inTask).not.toBe(threadId);
    expect(await pool.submit(workerFn<typeof work.ownRun>(workFile, 'ownRun'))).toBe('TimeoutError');
  });

  it('a deadlock is seen', async () => {
    await using pool = new ThreadPoolExecutor(options);
    await expect(pool.submit(workerFn<typeof work.deadlock>(workFile, 'deadlock'))).rejects.toMatchObject({
      code: 'ERR_DEADLOCK',
    });
    expect(await pool.submit(() => 'whole')).toBe('whole');
  });

  it('a wait that Node cannot see goes on', async () => {
    const [began, flag] = [cell(), cell()];
    const wait = async (began: Int32Array, flag: Int32Array) => {
      Atomics.store(began, 0, 1);
      return await Atomics.waitAsync(flag, 0, 0).value;
    };
    const job = toThread(wait, began, flag);
    await untilSet(began);
    await sleep(20); // Longer than an empty loop lives.
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    expect(await job).toBe('ok');
  });

  it('the program itself must not start again, and is told how not to', async () => {
    const ended = await runProgram('threads-unguarded.ts');
    expect(ended.stdout).toContain('InvalidStateError');
    expect(ended.stdout).toContain('if (import.meta.main)');
  });
});

describe('loop.runInExecutor', () => {
  it('uses the pool of toThread where none is given', async () => {
    expect(await getRunningLoop().runInExecutor(null, (a: number, b: number) => a * b, 6, 7)).toBe(42);
  });

  it('cancels the work there, too', async () => {
    await run(async () => {
      const counter = cell();
      const work = getRunningLoop().runInExecutor(null, countForEver, counter);
      await untilSet(counter);
      work.cancel();
      await expect(work).rejects.toThrow(CancelledError);
      const counted = Atomics.load(counter, 0);
      expect(Atomics.wait(counter, 0, counted, 50)).toBe('timed-out');
    });
  });

  it('uses the executor that is given', async () => {
    await using processes = new ProcessPoolExecutor({ maxWorkers: 1 });
    expect(await getRunningLoop().runInExecutor(processes, () => process.pid)).not.toBe(process.pid);
    await processes.shutdown();
    expect(() => getRunningLoop().runInExecutor(processes, () => 1)).toThrow(InvalidStateError);
  });

  it('loads threads only when it is used', async () => {
    expect(await runProgram('threads-loaded.ts')).toMatchObject({ stdout: 'before: false\nafter: true\n', code: 0 });
  });
});
