/**
 * Debug mode: what goes wrong without an error. Every report names the task, and the place that made it.
 *
 * @see https://docs.python.org/3/library/asyncio-dev.html#debug-mode
 */
import type { CancelledError } from './errors.ts';
import { PENDING } from './future.ts';
import type { EventLoop } from './loop.ts';
import { eachWaiter, type Scope } from './scope.ts';
import type { Task } from './task.ts';

/** A cancel that no wait has met for so long is reported, in ms of real time. */
const UNDELIVERED_AFTER_MS = 1000;

/** Runs one step of a task or a callback and reports it if it held the loop for long. */
export function timed<R>(loop: EventLoop, what: () => string, step: () => R): R {
  const start = performance.now();
  try {
    return step();
  } finally {
    reportIfSlow(loop, what, start);
  }
}

/** As {@link timed} for a task that is about to resume: `resume` queues the microtask of its next step. */
export function timedResume(loop: EventLoop, task: Task<unknown> | null, resume: () => void): void {
  if (task === null) return resume();
  let start = 0;
  queueMicrotask(() => {
    start = performance.now();
  });
  resume();
  queueMicrotask(() => reportIfSlow(loop, () => `Task ${task.name}`, start));
}

/** Reports a cancel that stays pending because the task waits where no cancel can reach. */
export function watchUndelivered(scope: Scope, error: CancelledError): void {
  const { task, loop } = scope;
  if (task === null) return;
  const timer = setTimeout(() => {
    if (task._state !== PENDING || scope.pending?.error !== error) return;
    const message =
      `A cancel of task ${task.name} is undelivered for ${UNDELIVERED_AFTER_MS} ms: it waits in a foreign promise, which ` +
      `cannot be cancelled. Wrap it in abortable((signal) => …) or until(promise)${place(task._site)}`;
    loop.callExceptionHandler({ message, task });
  }, UNDELIVERED_AFTER_MS);
  timer.unref();
}

/** Reports the waits that a task's function left behind: in a branch that lost a `Promise.race`, say. */
export function reportAbandonedWaits(task: Task<unknown>): void {
  eachWaiter(task, ({ future, site }) => {
    const message = `Task ${task.name} has ended and left a wait behind, for ${future.describe()}${place(site) || place(future._site)}`;
    task.loop.callExceptionHandler({ message, task });
  });
}

/** The line of a stack that is the user's, for the end of a message. */
export function place(site: Error | string | null | undefined): string {
  const stack = typeof site === 'string' ? site : site?.stack;
  const line = stack?.split('\n').find((each) => /^\s+at /.test(each) && !each.includes('node:') && !isOurs(each));
  return line === undefined ? '' : ` ${line.trim()}`;
}

function isOurs(line: string): boolean {
  return /[\\/](@aiokit|packages)[\\/](core|testing)[\\/](src|dist)[\\/]/.test(line);
}

function reportIfSlow(loop: EventLoop, what: () => string, start: number): void {
  const took = performance.now() - start;
  if (took < loop.slowCallbackDuration) return;
  loop.callExceptionHandler({ message: `${what()} held the loop for ${took.toFixed(1)} ms` });
}
