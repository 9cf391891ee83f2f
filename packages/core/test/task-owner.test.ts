import { createTask, detached, gather, shield, sleep, type Task, taskGroup } from '@aiokit/core';
import { expect, test } from 'vitest';

const names = (tasks: Task<unknown>[]): string[] => tasks.map((task) => task.name);

test('onTask is told of every task made inside, at any depth, and of no other', async () => {
  const made: Task<unknown>[] = [];
  const child = (name: string) => createTask(() => sleep(1), { name });
  const owner = createTask(
    async () => {
      const outer = createTask(async () => await child('inner'), { name: 'outer' });
      await taskGroup((group) => void group.createTask(() => child('nested'), { name: 'in a group' }));
      await gather([async () => await child('gathered')]);
      await detached(() => child('detached'));
      await outer;
    },
    { name: 'owner', onTask: (task) => made.push(task) },
  );
  await gather([owner, child('beside')]);
  expect(
    names(made)
      .filter((name) => !name.startsWith('Task-'))
      .sort(),
  ).toEqual(['gathered', 'in a group', 'inner', 'nested', 'outer']);
});

test('an inner owner is told instead of the outer one of what is made inside it', async () => {
  const outer: Task<unknown>[] = [];
  const inner: Task<unknown>[] = [];
  await createTask(
    () =>
      createTask(async () => void createTask(() => {}, { name: 'leaf' }), {
        name: 'inner',
        onTask: (task) => inner.push(task),
      }),
    { onTask: (task) => outer.push(task) },
  );
  expect([names(outer), names(inner)]).toEqual([['inner'], ['leaf']]);
});

test('a task knows that shield protects it', async () => {
  const made: Task<unknown>[] = [];
  const given = createTask(() => sleep(1), { name: 'given' });
  const plain = createTask(() => sleep(1));
  await createTask(
    async () => {
      await shield(given);
      await shield(() => sleep(1));
    },
    { onTask: (task) => made.push(task) },
  );
  expect([given.shielded(), plain.shielded(), made.map((task) => task.shielded())]).toEqual([true, false, [true]]);
});
