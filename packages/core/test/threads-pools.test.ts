/** The executors: lines, slots, shutdown, and workers that die. */
import { existsSync, readdirSync } from 'node:fs';
import { CancelledError, createTask, type EventLoop, InvalidStateError, run, sleep } from '@aiokit/core';
import { ProcessPoolExecutor, ThreadPoolExecutor, type WorkerPoolOptions } from '@aiokit/core/threads';
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';

const classes = { ThreadPoolExecutor, ProcessPoolExecutor };
const busy = () => {
  for (;;);
};
const whoAmI = () => `${process.pid} ${process.getBuiltinModule('node:worker_threads').threadId}`;

/** Waits until a pool's figures are these. */
async function untilPool(pool: ThreadPoolExecutor | ProcessPoolExecutor, figures: object): Promise<void> {
  await expect.poll(() => pool.statistics(), { timeout: 15_000, interval: 2 }).toMatchObject(figures);
}

/** What workers are made of, as the system and Node count it. */
function leftInProcess(): object {
  const handles = process.getActiveResourcesInfo().filter((kind) => /MessagePort|Process|Pipe/.test(kind));
  const threads = existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0;
  return { handles: handles.sort(), threads };
}

describe.each(Object.entries(classes))('%s', (name, Pool) => {
  const make = (options: WorkerPoolOptions = {}) => new Pool({ maxWorkers: 2, ...options });

  it('runs 1,000 jobs in the order they were given, with no more workers than it may have', async () => {
    await using pool = make();
    let most = 0;
    const jobs = Array.from({ length: 1_000 }, (_, i) => pool.submit((n: number) => n * 2, i));
    for (const job of jobs) job.addDoneCallback(() => (most = Math.max(most, pool.statistics().workers)));
    expect(await Promise.all(jobs)).toEqual(jobs.map((_, i) => i * 2));
    await sleep(0);
    expect(most).toBe(2);
    expect(pool.statistics()).toMatchObject({ queued: 0, running: 0, workers: 2 });
  });

  it('starts no more workers than there is work, and uses an idle one again', async () => {
    await using pool = make();
    const first = await pool.submit(whoAmI);
    expect(await pool.submit(whoAmI)).toBe(first);
    expect(pool.statistics()).toEqual({ queued: 0, running: 0, idle: 1, workers: 1 });
  });

  it('ends workers that had no work for a time', async () => {
    await using pool = make({ idleTimeout: 1 });
    expect(await pool.submit(() => 1)).toBe(1);
    await untilPool(pool, { workers: 0 });
    expect(await pool.submit(() => 2)).toBe(2);
  });

  it('maps items in order, and pulls them as workers come free', async () => {
    await using pool = make();
    let pulled = 0;
    const items = function* () {
      for (let i = 0; i < 20; i++, pulled++) {
        expect(pool.statistics().queued).toBeLessThanOrEqual(2);
        yield i;
      }
    };
    expect(await pool.map((n: number) => n + 1, items())).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    expect(pulled).toBe(20);
  });

  it('stops a map at the first failure, and ends what runs', async () => {
    await using pool = make();
    const work = (n: number) => {
      if (n === 1) throw new RangeError('one');
      for (;;);
    };
    await expect(pool.map(work, [0, 1, 2, 3])).rejects.toThrow(RangeError);
    expect(pool.statistics()).toMatchObject({ queued: 0, running: 0 });
  });

  it('cancels a map with all of its jobs', async () => {
    await using pool = make();
    const task = createTask(() => pool.map(busy as (n: number) => void, [1, 2, 3]));
    await untilPool(pool, { running: 2 });
    task.cancel();
    await expect(task).rejects.toThrow(CancelledError);
    expect(pool.statistics()).toMatchObject({ queued: 0, running: 0 });
  });

  it('lets what was submitted end before it shuts down, and takes no more', async () => {
    const pool = make({ maxWorkers: 1 });
    const jobs = [1, 2, 3].map((n) => pool.submit((n: number) => n, n));
    await pool.shutdown();
    expect(jobs.map((job) => job.result())).toEqual([1, 2, 3]);
    expect(pool.statistics()).toEqual({ queued: 0, running: 0, idle: 0, workers: 0 });
    expect(() => pool.submit(() => 4)).toThrow(`${name} is shut down: it takes no more jobs`);
    expect(() => pool.map((n: number) => n, [4])).toThrow(InvalidStateError);
    await pool.shutdown();
  });

  it('shuts down without waiting, too', async () => {
    const pool = make();
    const job = pool.submit(() => 'done');
    expect(() => pool.shutdown(null as never)).toThrow('options must be an object, got null');
    await pool.shutdown({ wait: false });
    expect(job.done()).toBe(false);
    expect(await job).toBe('done');
    await untilPool(pool, { workers: 0 });
  });

  it('ends what waits and what runs when it is told to', async () => {
    const pool = make({ maxWorkers: 1 });
    const [running, waiting] = [pool.submit(busy), pool.submit(busy)];
    await untilPool(pool, { running: 1 });
    await pool.shutdown({ cancel: true });
    expect([running.cancelled(), waiting.cancelled()]).toEqual([true, true]);
    await expect(running).rejects.toThrow(`${name} is shut down`);
    expect(pool.statistics().workers).toBe(0);
  });

  it('goes on with another worker when one calls process.exit', async () => {
    await using pool = make({ maxWorkers: 1 });
    const exit = pool.submit(function leave() {
      process.exit(3);
    });
    const next = pool.submit(() => 'next');
    await expect(exit).rejects.toMatchObject({
      name: 'WorkerDiedError',
      code: 'ERR_WORKER_DIED',
      exitCode: 3,
      message: expect.stringMatching(/^A worker (thread|process) ended while it ran leave: it exited with code 3/),
    });
    expect(await next).toBe('next');
  });

  it('reports an exception in a callback of the job as its failure', async () => {
    await using pool = make();
    const later = () => {
      setTimeout(() => {
        throw Object.assign(new TypeError('in a callback'), { code: 'E_LATER' });
      });
      return new Promise((resolve) => setTimeout(resolve, 60_000));
    };
    await expect(pool.submit(later)).rejects.toMatchObject({
      name: 'WorkerDiedError',
      message: expect.stringContaining('TypeError: in a callback'),
      cause: { name: 'TypeError', code: 'E_LATER' },
    });
  });

  it('tells the loop of an exception that an earlier job left behind', async () => {
    const reports: string[] = [];
    const main = async (loop: EventLoop) => {
      loop.setExceptionHandler(
        ({ message, exception }) => void reports.push(`${message}: ${(exception as Error).cause}`),
      );
      const pool = make({ maxWorkers: 1 });
      await pool.submit(() => {
        setTimeout(() => {
          throw new Error('forgotten');
        }, 1);
      });
      await untilPool(pool, { workers: 0 });
      expect(await pool.submit(() => 'whole')).toBe('whole');
      await pool.shutdown();
    };
    await run(async () => await main((await import('@aiokit/core')).getRunningLoop()));
    expect(reports).toEqual([`Something left behind by an earlier job of ${name}: Error: forgotten`]);
  });

  it('fails the jobs of workers that cannot start', async () => {
    await using pool = make({ execArgv: ['--no-such-option'] });
    await expect(pool.submit(() => 1)).rejects.toThrow(Error);
    expect(pool.statistics()).toMatchObject({ queued: 0, workers: 0 });
  });

  it('survives a storm of cancels, and leaves no thread, process or pipe behind', async () => {
    const before = leftInProcess();
    const pool = make();
    for (let round = 0; round < 3; round++) {
      const jobs = Array.from({ length: 100 }, () => pool.submit(busy));
      await untilPool(pool, { running: 2, queued: 98 });
      for (const job of jobs) job.cancel();
      for (const job of jobs) await expect(job).rejects.toThrow(CancelledError);
    }
    expect(await pool.submit(() => 'whole')).toBe('whole');
    expect(pool.statistics()).toMatchObject({ queued: 0, running: 0, idle: 1 });
    await pool.shutdown();
    await expect.poll(leftInProcess).toEqual(before);
  });

  it('checks its options', () => {
    expect(() => new Pool({ maxWorkers: 0 })).toThrow(/^options.maxWorkers must be >= 1, got 0$/);
    expect(() => new Pool({ idleTimeout: '1' as never })).toThrow(
      /^options.idleTimeout must be a number of milliseconds/,
    );
    expect(() => new Pool(3 as never)).toThrow(TypeError);
  });
});

describe('a worker process', () => {
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  it('that is cancelled in a call that blocks is gone when the cancel is delivered', async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const pid = await pool.submit(() => process.pid);
    const job = pool.submit(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    job.cancel();
    await expect(job).rejects.toThrow(CancelledError);
    expect(isAlive(pid)).toBe(false);
  });

  it('that is killed from outside fails its job with the signal', async () => {
    await using pool = new ProcessPoolExecutor({ maxWorkers: 1 });
    const pid = await pool.submit(() => process.pid);
    const job = pool.submit(busy);
    process.kill(pid, 'SIGTERM');
    await expect(job).rejects.toMatchObject({ signal: 'SIGTERM', exitCode: null });
    expect(await pool.submit(() => process.pid)).not.toBe(pid);
  });

  it('that cannot start fails the job, and says why', async () => {
    await using pool = new ProcessPoolExecutor({ cwd: '/no/such/directory' });
    await expect(pool.submit(() => 1)).rejects.toMatchObject({ cause: { code: 'ENOENT' } });
    await expect(Promise.allSettled([1, 2, 3].map(() => pool.submit(() => 1)))).resolves.toHaveLength(3);
    expect(pool.statistics()).toEqual({ queued: 0, running: 0, idle: 0, workers: 0 });
  });

  it('that works ends when this process exits', async () => {
    const ended = await runProgram('threads-exit.ts', { args: ['process'] });
    // The worker holds the pipes, too: that they are closed says that it has ended.
    expect(ended).toMatchObject({ code: 5, stdout: 'exits\n', stderr: '' });
  });
});

describe('the process', () => {
  it.each(['thread', 'process'])('is not kept alive by an idle %s', async (kind) => {
    expect(await runProgram('threads-idle.ts', { args: [kind] })).toMatchObject({
      code: 0,
      stdout: 'idle\n',
      stderr: '',
    });
  });

  it.each(['thread', 'process'])('is kept alive by a %s that works', async (kind) => {
    expect(await runProgram('threads-working.ts', { args: [kind] })).toMatchObject({
      code: 0,
      stdout: 'worked\n',
      stderr: '',
    });
  });

  it.each(['thread', 'process'])('sees all that a job printed in a %s before the result', async (kind) => {
    const ended = await runProgram('threads-printing.ts', { args: [kind] });
    expect(ended).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree\nend\n', stderr: 'aside\n' });
  });
});
