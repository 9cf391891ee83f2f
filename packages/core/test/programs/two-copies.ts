/** Two copies of core in one process. */
import * as one from '@aiokit/core';
import { loadSecondCopy } from '../support/second-copy.ts';

const two = await loadSecondCopy();

const check = (what: string, holds: boolean) => console.log(`${holds ? 'yes' : 'NO '} ${what}`);

check('they are two', one.Future !== two.Future);
await one.run(async () => {
  check('one current task', one.currentTask() === (two.currentTask() as unknown) && one.currentTask()?.name === 'main');
  check('one loop', one.getRunningLoop() === (two.getRunningLoop() as unknown));

  const future = new two.Future<number>();
  check('instanceof Future', future instanceof one.Future && new one.Future() instanceof two.Future);
  check('instanceof Task', two.createTask(() => {}) instanceof one.Task);
  check(
    'instanceof errors',
    new two.CancelledError() instanceof one.CancelledError && new two.TimeoutError('') instanceof one.TimeoutError,
  );
  check('instanceof ExceptionGroup', new two.ExceptionGroup([1]) instanceof one.ExceptionGroup);
  class Own extends one.TimeoutError {}
  check(
    "not of a user's subclass",
    !(new two.TimeoutError('') instanceof Own) && new Own('') instanceof two.TimeoutError,
  );

  const log: string[] = [];
  const task = one.createTask(async () => {
    try {
      await two.sleep(10_000);
    } catch (error) {
      log.push(String(two.isCancelled(error) && one.isCancelled(error)));
      throw error;
    }
  });
  await two.sleep(1);
  task.cancel();
  await task.catch(() => {});
  check('a cancel of one ends a wait of the other', task.cancelled() && log[0] === 'true');

  const late = await one
    .timeout(5, () => two.taskGroup((group) => void group.createTask(() => one.sleep(10_000))))
    .catch((e: Error) => e.name);
  check('a timeout of one reaches a group of the other', late === 'TimeoutError');

  check(
    'gather takes both',
    (await one.gather([two.createTask(() => 1), () => two.sleep(1, 2), one.createTask(() => 3)])).join() === '1,2,3',
  );
  const queue = new two.Queue<number>();
  const getter = one.createTask(() => queue.get());
  await one.sleep(0);
  queue.putNowait(7);
  check('a queue of the other', (await getter) === 7);
  const shielded = await one.shield(two.createTask(() => two.sleep(1, 'x')));
  check('a shield of the other', shielded === 'x');
  check('one list of tasks', one.allTasks().size === 1 && two.allTasks().size === 1);
});
