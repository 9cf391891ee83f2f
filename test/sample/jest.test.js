// @ts-nocheck: jest's functions are globals.
// Run by sample.test.ts with jest, in a project of its own.
import { createTask, Queue, sleep, TimeoutError, timeout } from '@aiokit/core';
import { runTest } from '@aiokit/testing';

test('a virtual hour passes at once', () =>
  runTest(async ({ clock }) => {
    await expect(timeout(3_600_000, () => sleep(Infinity))).rejects.toThrow(TimeoutError);
    expect(clock.now()).toBe(3_600_000);
  }));

test('globals follow the clock', () =>
  runTest(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 86_400_000));
      expect(new Date().toISOString()).toBe('2030-01-02T00:00:00.000Z');
    },
    { globals: true, start: '2030-01-01' },
  ));

test('waits for ever', () => runTest(() => new Queue().get()));

test('leaves a task behind', () => runTest(() => void createTask(() => sleep(1_000), { name: 'forgotten' })));
