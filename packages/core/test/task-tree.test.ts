import {
  createTask,
  Event,
  formatTaskTree,
  gather,
  Lock,
  Queue,
  sleep,
  taskGroup,
  taskTree,
  timeout,
  trackIO,
} from '@aiokit/core';
import { describe, expect } from 'vitest';
import { test } from './support/virtual.ts';

describe('the task tree', () => {
  test('tells who waits for what, down to the leaves', async () => {
    const lock = new Lock();
    const queue = new Queue<number>();
    const held = await lock.acquire();
    const load = createTask(() => sleep(100), { name: 'load' });
    const tasks = [
      createTask(() => load, { name: 'page' }),
      createTask(() => lock.acquire(), { name: 'writer' }),
      createTask(() => Promise.all([queue.get(), sleep(50)]), { name: 'busy' }),
    ];
    await sleep(1);
    const tree = formatTaskTree();
    expect(tree).toMatch(/^page\n {2}load waits for sleep/m);
    expect(tree).toMatch(/^writer waits for Lock\.acquire/m);
    expect(tree).toMatch(/^busy waits for Queue\.get.*, sleep/m);
    expect(tree).toMatch(/^main/m);
    const busy = taskTree().find((task) => task.name === 'busy');
    expect(busy?.waits).toHaveLength(2);
    held.release();
    queue.putNowait(1);
    for (const task of tasks) await task;
  });

  test('tells how long each wait has lasted', async () => {
    const task = createTask(() => sleep(100), { name: 'sleeper' });
    await sleep(30);
    const sleeper = taskTree().find((each) => each.name === 'sleeper');
    expect(sleeper?.waits[0]).toMatchObject({ since: 0 });
    expect(formatTaskTree()).toMatch(/sleeper waits for sleep.*30 ms/);
    await task;
  });

  test('shows waits inside timeouts and groups, and children under the task that made the group', async () => {
    const task = createTask(
      () =>
        timeout(1000, () =>
          taskGroup((group) => {
            group.createTask(() => sleep(10), { name: 'child a' });
            group.createTask(() => sleep(20), { name: 'child b' });
          }),
        ),
      { name: 'parent' },
    );
    await sleep(1);
    expect(formatTaskTree()).toMatch(/^parent.*\n {2}child a waits for sleep.*\n {2}child b waits for sleep/m);
    await task;
  });

  test('shows what a gather waits for', async () => {
    const task = createTask(
      () => gather([createTask(() => sleep(10), { name: 'left' }), createTask(() => sleep(20), { name: 'right' })]),
      { name: 'parent' },
    );
    await sleep(1);
    expect(formatTaskTree()).toMatch(/^parent.*\n {2}left waits for sleep.*\n {2}right waits for sleep/m);
    await task;
  });

  test('says who is being cancelled', async () => {
    const event = new Event();
    const task = createTask(() => sleep(100).catch(() => event.wait()), { name: 'stubborn' });
    await sleep(1);
    task.cancel();
    await sleep(1);
    expect(formatTaskTree()).toMatch(/stubborn \(cancelling\) waits for Event\.wait/);
    event.set();
    await task;
  });

  test('says of a task in a foreign promise that core cannot see what it waits for', async () => {
    const gate = Promise.withResolvers<void>();
    const task = createTask(() => gate.promise, { name: 'deaf' });
    await sleep(1);
    expect(formatTaskTree()).toMatch(/deaf waits for a promise that core cannot see/);
    gate.resolve();
    await task;
  });

  test('does not go round in circles', async () => {
    const tasks: ReturnType<typeof createTask>[] = [];
    const event = new Event();
    for (const i of [0, 1]) {
      tasks.push(createTask(() => Promise.race([tasks[1 - i], event.wait()]), { name: `t${i}` }));
    }
    await sleep(1);
    expect(formatTaskTree()).toContain('t0');
    event.set();
    for (const task of tasks) await task;
  });
});

describe('trackIO', () => {
  test('names a real operation as long as it lasts', async () => {
    const { getRunningLoop } = await import('@aiokit/core');
    const { activity } = getRunningLoop();
    const changes: number[] = [];
    using _ = activity.onChange(() => changes.push(activity.operations.size));
    const operation = trackIO('pg', { label: 'SELECT 1' });
    expect([...activity.operations]).toEqual([expect.objectContaining({ kind: 'pg', label: 'SELECT 1' })]);
    operation.end();
    operation.end();
    expect(activity.operations.size).toBe(0);
    expect(changes).toEqual([1, 0]);
  });
});
