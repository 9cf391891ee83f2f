import { createTask, DeadlockError, Future, Lock, run, sleep } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';
import { inVirtualTime } from './support/virtual.ts';

describe('a process that would end while main waits', () => {
  it('rejects main with a DeadlockError that lists who waits for what, and lets finally run', async () => {
    const { code, stdout, stderr } = await runProgram('deadlock.ts');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('true Deadlock: 3 task(s) wait and nothing is left that could wake them.');
    expect(stdout).toMatch(/^main waits for Future/m);
    expect(stdout).toMatch(/^wants the lock waits for Lock\.acquire/m);
    expect(stdout).toMatch(/^wants an item waits for Queue\.get/m);
    expect(stdout).toMatch(/^finally$/m);
  });

  it('does so also when a task of an earlier run() of the Runner waits', async () => {
    const { code, stdout, stderr } = await runProgram('deadlock.ts', { args: ['second run'] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('true Deadlock: 2 task(s) wait');
  });

  it('leaves a task that swallows its cancel and can never end behind, and names it', async () => {
    const { code, stdout, stderr } = await runProgram('deadlock.ts', { args: ['stubborn'] });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'main gave 1\n' });
    expect(stderr).toContain('run() leaves 1 task(s) behind that can never end: stubborn.');
  });
});

describe('in virtual time', () => {
  it('a deadlock is found at once', async () => {
    await expect(inVirtualTime(() => new Future<void>())).rejects.toThrow(DeadlockError);
  });

  it('two tasks that wait for each other are both named', async () => {
    const error = await inVirtualTime(async () => {
      const [left, right] = [new Lock(), new Lock()];
      const both = (first: Lock, second: Lock, name: string) =>
        createTask(
          async () => {
            using _ = await first.acquire();
            await sleep(1);
            using __ = await second.acquire();
          },
          { name },
        );
      const tasks = [both(left, right, 'left first'), both(right, left, 'right first')];
      for (const task of tasks) await task;
    }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DeadlockError);
    expect((error as Error).message).toMatch(/left first waits for Lock\.acquire/);
    expect((error as Error).message).toMatch(/right first waits for Lock\.acquire/);
  });

  it('a task that sleeps is none', async () => {
    expect(await inVirtualTime(() => sleep(1e12, 'awake'))).toBe('awake');
  });
});

it('a timer or a socket that is left keeps main waiting, as in Node', async () => {
  const timer = setTimeout(() => {}, 50);
  const waiting = run(() => new Promise((resolve) => setTimeout(resolve, 20, 'woken')), { handleSignals: false });
  expect(await waiting).toBe('woken');
  clearTimeout(timer);
});
