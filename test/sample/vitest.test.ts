// Run by sample.test.ts with vitest, in a project of its own.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createTask, Queue, sleep, TimeoutError, timeout } from '@aiokit/core';
import { test } from '@aiokit/testing/vitest';
import { expect } from 'vitest';

test('a virtual hour passes at once', async ({ clock }) => {
  await expect(timeout(3_600_000, () => sleep(Infinity))).rejects.toThrow(TimeoutError);
  expect(clock.now()).toBe(3_600_000);
});

const tenant = new AsyncLocalStorage<string>();
const inTenant = test.extend<{ colour: string }>({
  colour: async ({ clock: _ }, use) => tenant.run('blue', () => use('blue')),
});

inTenant('a fixture runs in the task of the test', ({ colour }) => expect(tenant.getStore()).toBe(colour));

test('waits for ever', () => new Queue().get());

test('leaves a task behind', () => void createTask(() => sleep(1_000), { name: 'forgotten' }));
