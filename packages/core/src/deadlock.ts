/**
 * The process is about to end and main still waits: nothing can ever wake it. Node itself would exit with code 13 and name
 * nothing.
 */
import { DeadlockError } from './errors.ts';
import { PENDING } from './future.ts';
import type { EventLoop } from './loop.ts';
import { registry } from './registry.ts';
import type { Task } from './task.ts';
import { formatTaskTree } from './task-tree.ts';
import { forEachIn } from './waiter.ts';

/** One listener for all: many loops side by side are no leak of listeners. */
const watched = new Set<() => void>();
const onBeforeExit = () => {
  for (const deadlocked of [...watched]) deadlocked();
};

/** Calls back when the process is about to end, until the function that it returns is called. */
export function watchForDeadlock(deadlocked: () => void): () => void {
  if (watched.size === 0) process.on('beforeExit', onBeforeExit);
  watched.add(deadlocked);
  return () => {
    watched.delete(deadlocked);
    if (watched.size === 0) process.removeListener('beforeExit', onBeforeExit);
  };
}

/**
 * Ends every task of a loop that can never go on: main is rejected with a {@link DeadlockError} that lists them all. For
 * clocks, which know that no timer is left.
 *
 * @param main default: the oldest task.
 */
export function declareDeadlock(loop: EventLoop, main: Task<unknown> | null = loop._tasks): DeadlockError | null {
  if (main === null || main._state !== PENDING) return null;
  let count = 0;
  forEachIn(loop._tasks, () => count++);
  const error = new DeadlockError(
    `Deadlock: ${count} task(s) wait and nothing is left that could wake them.\n${formatTaskTree(loop)}`,
  );
  // The awaiter of main gets the error. Each wait inside is released the ordinary way, so that finally blocks run.
  registry.context.run(loop._context, () => main._failDeadlocked(error));
  return error;
}
