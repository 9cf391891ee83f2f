import type { Task } from '@aiokit/core';

/** What a task opened and did not finish with. */
interface Leftover {
  release(): void;
}

const opened = new WeakMap<Task<unknown>, Set<Leftover>>();

/**
 * Releases `leftover` when the task ends, unless it is forgotten before: a response that nobody reads to its end would hold
 * its connection for ever.
 *
 * @returns forgets it.
 */
export function releaseWithTask(task: Task<unknown>, leftover: Leftover): () => void {
  let leftovers = opened.get(task);
  if (leftovers === undefined) {
    leftovers = new Set();
    opened.set(task, leftovers);
    task.addDoneCallback(releaseAll);
  }
  const mine = leftovers;
  mine.add(leftover);
  return () => void mine.delete(leftover);
}

function releaseAll(task: Task<unknown>): void {
  for (const leftover of opened.get(task) ?? []) leftover.release();
}
