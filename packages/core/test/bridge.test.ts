import {
  Bridge,
  CancelledError,
  createTask,
  currentTask,
  detached,
  sleep,
  throwIfCancelled,
  timeout,
} from '@aiokit/core';
import { expect, test } from 'vitest';

test('a bridge is needed where a cancel could reach the call: in a task, and in a timeout outside of one', async () => {
  expect(Bridge.isNeeded()).toBe(false);
  expect(await createTask(() => Bridge.isNeeded())).toBe(true);
  expect(await timeout(1_000, () => Bridge.isNeeded())).toBe(true);
  expect(await createTask(() => detached(() => Bridge.isNeeded()))).toBe(false);
});

class Call extends Bridge<string> {
  readonly told: string[] = [];
  protected override onCancel({ message }: CancelledError): void {
    this.told.push(message);
    this.setCancelled();
  }
}

test('a call that nobody awaits meets a cancel that was pending, at the end of the turn', async () => {
  const call = new Call();
  const task = createTask(async () => {
    currentTask()?.cancel('enough');
    call.waitFromNow();
    await Promise.resolve();
    expect(call.done()).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    expect(call.cancelled()).toBe(true);
    throwIfCancelled();
  });
  await expect(task).rejects.toThrow('enough');
  expect(call.told).toEqual(['enough']);
});

test('but not if an await of that turn has met it', async () => {
  const call = new Call();
  const task = createTask(async () => {
    currentTask()?.cancel();
    call.waitFromNow();
    await expect(sleep(1)).rejects.toThrow(CancelledError);
    await new Promise((resolve) => setImmediate(resolve));
    expect(call.done()).toBe(false);
    call.setResult('goes on');
    return await call;
  });
  expect(await task).toBe('goes on');
});

test('and it is left to others who wait for it', async () => {
  const call = new Call();
  const other = createTask(async () => await call);
  await sleep(0);
  const task = createTask(async () => {
    currentTask()?.cancel();
    call.waitFromNow();
    await new Promise((resolve) => setImmediate(resolve));
    expect(call.done()).toBe(false);
  });
  await task;
  call.setResult('for the other');
  expect(await other).toBe('for the other');
  expect(call.told).toEqual([]);
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
