import { AssertionError } from 'node:assert';
import { currentTask, InvalidStateError } from '@aiokit/core';
import { checkFunction } from './check.ts';

/**
 * Fails unless `body` waits at least once in something of core's or an adapter's: a cancel of it could land nowhere else.
 * Awaiting what is ready already, and foreign promises, do not count.
 *
 * @returns what `body` returns.
 * @throws `AssertionError`; `InvalidStateError` outside of a task.
 *
 * @see https://trio.readthedocs.io/en/stable/reference-testing.html#trio.testing.assert_checkpoints
 */
export async function assertCheckpoints<R>(body: () => R): Promise<Awaited<R>> {
  return counted('assertCheckpoints', body, (count) => {
    if (count === 0) throw new AssertionError({ message: 'body passed no checkpoint: no cancel could land in it' });
  });
}

/**
 * Fails if `body` waits in something of core's or an adapter's: no cancel could land in it.
 *
 * @returns what `body` returns.
 * @throws `AssertionError`; `InvalidStateError` outside of a task.
 */
export async function assertNoCheckpoints<R>(body: () => R): Promise<Awaited<R>> {
  return counted('assertNoCheckpoints', body, (count) => {
    if (count > 0)
      throw new AssertionError({ message: `body passed ${count} checkpoint(s): a cancel could land there` });
  });
}

async function counted<R>(name: string, body: () => R, check: (count: number) => void): Promise<Awaited<R>> {
  checkFunction(body, 'body');
  const task = currentTask();
  if (task === null) throw new InvalidStateError(`${name}() outside of a task: nothing there can be cancelled`);
  const before = task.checkpoints;
  const result = await body();
  check(task.checkpoints - before);
  return result;
}
