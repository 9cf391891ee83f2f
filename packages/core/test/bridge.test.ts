import { Bridge, CancelledError, createTask, detached, sleep, timeout } from '@aiokit/core';
import { expect, test } from 'vitest';

test('a bridge is needed where a cancel could reach the call: in a task, and in a timeout outside of one', async () => {
  expect(Bridge.isNeeded()).toBe(false);
  expect(await createTask(() => Bridge.isNeeded())).toBe(true);
  expect(await timeout(1_000, () => Bridge.isNeeded())).toBe(true);
  expect(await createTask(() => detached(() => Bridge.isNeeded()))).toBe(false);
});

test('an error of its own for a real cancel is not reported as one that nobody sent', async () => {
  class Told extends CancelledError {}
  class Telling extends Bridge<void> {
    protected override onCancel(error: CancelledError): void {
      this.setCancelled(new Told(error.reason));
    }
  }
  const warnings: Error[] = [];
  const listener = (warning: Error) => warnings.push(warning);
  process.on('warning', listener);
  const task = createTask(async () => await new Telling());
  await sleep(0);
  task.cancel('enough');
  await expect(task).rejects.toBeInstanceOf(Told);
  await sleep(1);
  process.off('warning', listener);
  expect(warnings).toEqual([]);
});
