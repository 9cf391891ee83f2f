import { CancelledError, createTask, gather, Queue, sleep } from '@aiokit/core';
import { assertCheckpoints, assertNoCheckpoints, runTest, Sequencer, waitAllTasksBlocked } from '@aiokit/testing';
import { describe, expect, test } from 'vitest';

describe('Sequencer', () => {
  test('brings steps of several tasks into one order', () =>
    runTest(async () => {
      const sequencer = new Sequencer();
      const log: number[] = [];
      const steps = async (...positions: number[]) => {
        for (const position of positions) {
          using _step = await sequencer.step(position);
          log.push(position);
          await sleep(10);
        }
      };
      await gather([() => steps(1, 4), () => steps(0, 3, 5), () => steps(2)]);
      expect(log).toEqual([0, 1, 2, 3, 4, 5]);
    }));

  test('fails the later steps when one is cancelled', () =>
    runTest(async () => {
      const sequencer = new Sequencer();
      const second = createTask(() => sequencer.step(1));
      const third = createTask(() => sequencer.step(2));
      await waitAllTasksBlocked();
      second.cancel();
      await expect(third).rejects.toThrow('Step 1 of a Sequencer was cancelled: the steps after it never come');
      await expect(second).rejects.toThrow(CancelledError);
      await expect(sequencer.step(3)).rejects.toThrow('was cancelled');
    }));

  test('takes each position once, and positions only', () =>
    runTest(async () => {
      const sequencer = new Sequencer();
      (await sequencer.step(0))[Symbol.dispose]();
      await expect(sequencer.step(0)).rejects.toThrow('step(0) of a Sequencer a second time');
      await expect(sequencer.step(-1)).rejects.toThrow('position must be an integer >= 0, got -1');
    }));
});

describe('waitAllTasksBlocked', () => {
  test('ends when the others wait, before time moves', () =>
    runTest(async ({ clock }) => {
      const queue = new Queue<string>();
      const log: string[] = [];
      const task = createTask(async () => {
        for (let i = 0; i < 50; i++) await sleep(0);
        log.push('asks');
        log.push(await queue.get());
        await sleep(10);
        log.push('slept');
      });
      await waitAllTasksBlocked();
      expect(log).toEqual(['asks']);
      queue.putNowait('item');
      await waitAllTasksBlocked();
      expect(log).toEqual(['asks', 'item']);
      expect(clock.now()).toBe(0);
      await task;
    }));

  test('is refused outside of virtual time', async () => {
    expect(() => waitAllTasksBlocked()).toThrow('waitAllTasksBlocked() outside of a task in virtual time');
    await runTest(() => expect(() => waitAllTasksBlocked()).toThrow('outside of a task in virtual time'), {
      live: true,
    });
  });
});

describe('checkpoints', () => {
  test('assertCheckpoints wants a wait that a cancel could end', () =>
    runTest(async () => {
      expect(await assertCheckpoints(() => sleep(1, 'value'))).toBe('value');
      await expect(assertCheckpoints(async () => 'no wait')).rejects.toThrow(
        'body passed no checkpoint: no cancel could land in it',
      );
      await expect(assertCheckpoints(() => Promise.resolve())).rejects.toThrow('no checkpoint');
      const queue = new Queue<number>();
      queue.putNowait(1);
      await expect(assertCheckpoints(() => queue.get())).rejects.toThrow('no checkpoint');
    }));

  test('assertNoCheckpoints wants none', () =>
    runTest(async () => {
      expect(await assertNoCheckpoints(async () => 'value')).toBe('value');
      await expect(assertNoCheckpoints(() => sleep(1))).rejects.toThrow('body passed 1 checkpoint(s)');
    }));

  test('are refused outside of a task', async () => {
    await expect(assertCheckpoints(() => sleep(1))).rejects.toThrow('assertCheckpoints() outside of a task');
  });
});
