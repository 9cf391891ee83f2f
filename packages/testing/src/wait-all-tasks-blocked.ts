import { currentTask, type Future, getRunningLoop, InvalidStateError } from '@aiokit/core';
import { VirtualClock } from './virtual-clock.ts';

/**
 * Waits until every other task of the loop waits for something, no operation is in flight, and only time could go on. Time
 * does not move meanwhile.
 *
 * A cancel ends the wait.
 *
 * @throws `InvalidStateError` outside of a task in virtual time.
 *
 * @example
 * ```ts
 * const reader = createTask(() => queue.get());
 * await waitAllTasksBlocked(); // the reader waits now
 * queue.putNowait('item');
 * ```
 *
 * @see https://trio.readthedocs.io/en/stable/reference-testing.html#trio.testing.wait_all_tasks_blocked
 */
export function waitAllTasksBlocked(): Future<void> {
  const { clock } = getRunningLoop();
  if (currentTask() === null || !(clock instanceof VirtualClock)) {
    throw new InvalidStateError(
      'waitAllTasksBlocked() outside of a task in virtual time: real time does not wait for it',
    );
  }
  return clock.idle();
}
