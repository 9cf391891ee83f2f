/** Tasks that wait for each other: a cancel that comes back ends the wait instead of going round. */
import { CancelledError, createTask, sleep, type Task, taskGroup } from '@aiokit/core';
import { describe, expect } from 'vitest';
import { test } from './support/virtual.ts';

describe('a cancel of one of', () => {
  test('two tasks that await each other ends both', async () => {
    const tasks: Task<unknown>[] = [];
    for (const i of [0, 1]) tasks.push(createTask(() => tasks[1 - i]));
    await sleep(1);
    tasks[0]?.cancel('enough');
    for (const task of tasks) await expect(task).rejects.toThrow(CancelledError);
  });

  for (const who of ['parent', 'child'] as const) {
    test(`a group's task and a child that awaits it ends both, when it is sent to the ${who}`, async () => {
      let child: Task<unknown> | undefined;
      const parent: Task<unknown> = createTask(() =>
        taskGroup((group) => {
          child = group.createTask(() => parent);
        }),
      );
      await sleep(1);
      (who === 'parent' ? parent : child)?.cancel('enough');
      await expect(parent).rejects.toThrow(CancelledError);
      expect(child?.cancelled()).toBe(true);
    });
  }
});
