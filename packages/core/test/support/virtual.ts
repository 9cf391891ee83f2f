/**
 * Tests as main of a loop in virtual time: they take no time, and nothing may be left behind. Test files use `test` for
 * these and vitest's `it` for tests that are about `run()` itself, or about real time.
 */
import { allTasks, currentTask, type ExceptionContext, getRunningLoop, type RunOptions, run } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import { test as vitest } from 'vitest';

/** A test in virtual time. It fails if it leaves tasks behind, or if the loop reports anything. */
export function test(sentence: string, body: () => unknown): void {
  vitest(sentence, () => inVirtualTime(body));
}

/** Runs `body` as main in virtual time. */
export async function inVirtualTime<R>(body: () => R, options: RunOptions = {}): Promise<Awaited<R>> {
  const reports: ExceptionContext[] = [];
  const main = async () => {
    getRunningLoop().setExceptionHandler((context) => void reports.push(context));
    const value = await body();
    const left = [...allTasks()].filter((task) => task !== currentTask());
    if (left.length > 0) throw new Error(`left behind: ${left.map((task) => task.describe()).join(', ')}`);
    return value;
  };
  const value = await run(main, { clock: new VirtualClock(), handleSignals: false, ...options });
  if (reports.length > 0) throw new Error(`reported: ${reports.map((r) => `${r.message} ${r.exception}`).join('\n')}`);
  return value;
}

/** As {@link inVirtualTime}, for tests about what is left behind and reported: gives the reports. */
export async function reportsOf(body: () => unknown, options: RunOptions = {}): Promise<ExceptionContext[]> {
  const reports: ExceptionContext[] = [];
  const main = async () => {
    getRunningLoop().setExceptionHandler((context) => void reports.push(context));
    await body();
  };
  await run(main, { clock: new VirtualClock(), handleSignals: false, ...options });
  return reports;
}

/** The loop's time in ms. It begins at 0. */
export function now(): number {
  return Math.round(getRunningLoop().time());
}
