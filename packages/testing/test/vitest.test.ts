import { AsyncLocalStorage } from 'node:async_hooks';
import { CancelledError, createTask, currentTask, sleep, TimeoutError, timeout } from '@aiokit/core';
import { test } from '@aiokit/testing/vitest';
import { describe, expect, test as plain } from 'vitest';

test('a body runs in virtual time', async ({ clock, loop }) => {
  expect(clock.now()).toBe(0);
  await sleep(3_600_000);
  expect(clock.now()).toBe(3_600_000);
  expect(loop.clock).toBe(clock);
});

test('a body keeps what vitest gives it', ({ task, expect: own, onTestFinished, clock }) => {
  expect(task.name).toBe('a body keeps what vitest gives it');
  expect(typeof onTestFinished).toBe('function');
  own(clock.now()).toBe(0);
});

test.live('a live body runs in real time', async ({ clock }) => {
  const before = clock.now();
  await sleep(5);
  expect(clock.real).toBe(true);
  expect(clock.now() - before).toBeGreaterThan(3);
});

const seen: unknown[] = [];
test.each([1, 2, 3])('each takes its case %i into virtual time', async (n) => {
  await sleep(1_000 * n);
  seen.push(n);
});
test.for([[1, 'a']] as const)('for gives the case and the context', async ([n, letter], { clock }) => {
  await sleep(n);
  expect([clock.now(), letter]).toEqual([1, 'a']);
});
test.skipIf(false)('skipIf runs what it does not skip', async () => void seen.push(await sleep(1_000, 'skipIf')));
test.runIf(true)('runIf runs', async () => void seen.push(await sleep(1_000, 'runIf')));
test.fails('fails wants a failure', async () => {
  await sleep(1);
  throw new Error('as it should');
});
plain('what the cases above did', () => expect(seen).toEqual([1, 2, 3, 'skipIf', 'runIf']));

const tenant = new AsyncLocalStorage<string>();
const order: string[] = [];
const extended = test
  .extend<{ main: unknown; inTenant: string; onlyForASecond: undefined }>({
    main: async ({ clock: _ }, use) => {
      order.push('main up');
      await use(currentTask());
      order.push('main down');
    },
    inTenant: async ({ main }, use) => {
      expect(main).toBe(currentTask());
      await tenant.run('blue', () => use('blue'));
    },
    onlyForASecond: async ({ clock }, use) => {
      expect(clock.now()).toBe(0);
      await timeout(1_000, () => use(undefined));
    },
  })
  .extend('built', async ({ inTenant }, { onCleanup }) => {
    await sleep(10);
    onCleanup(() => void order.push('built down'));
    return `${inTenant}:${tenant.getStore()}`;
  });

describe('fixtures', () => {
  extended('run in the task of the body, with their contexts', ({ main, built, clock }) => {
    expect(main).toBe(currentTask());
    expect(built).toBe('blue:blue');
    expect(tenant.getStore()).toBe('blue');
    expect(clock.now()).toBe(10);
    order.push('body');
  });
  plain('are torn down in reverse', () => expect(order).toEqual(['main up', 'body', 'built down', 'main down']));

  extended.fails('open scopes that reach the body', async ({ onlyForASecond }) => {
    expect(onlyForASecond).toBeUndefined();
    await sleep(2_000);
  });

  extended.fails('are torn down after a failure, too', async ({ main }) => {
    order.splice(0, Infinity, 'body failed');
    await sleep(1);
    throw new Error(`in ${main}`);
  });
  plain('were torn down', () => expect(order).toEqual(['body failed', 'main down']));

  describe('overridden', () => {
    extended.override({ inTenant: 'red' });
    extended('take the value of the suite', ({ built }) => expect(built).toBe('red:undefined'));
  });
});

describe('hooks', () => {
  const hooks: string[] = [];
  test.beforeEach(async ({ clock }) => {
    await sleep(5);
    hooks.push(`before at ${clock.now()}`);
    return () => void hooks.push('undone');
  });
  test.afterEach(({ clock }) => void hooks.push(`after at ${clock.now()}`));
  test.aroundEach(async (run, { clock }) => {
    await timeout(60_000, run);
    hooks.push(`around at ${clock.now()}`);
  });
  test('run in the test task', async () => {
    await sleep(100);
    hooks.push('body');
  });
  plain('ran in their order', () =>
    expect(hooks).toEqual(['before at 5', 'body', 'around at 105', 'after at 105', 'undone']),
  );
});

describe('configure', () => {
  const manual = test.configure({ autoJump: false, start: '2030-01-01T00:00:00Z' });
  manual('gives other options', async ({ clock }) => {
    const task = createTask(() => sleep(50, 'woken'));
    await clock.advance(49);
    expect(task.done()).toBe(false);
    await clock.advance(1);
    expect(await task).toBe('woken');
    expect(new Date(clock.wallTime()).toISOString()).toBe('2030-01-01T00:00:00.050Z');
  });
});

test('a cancel is an ordinary failure of the test', async () => {
  await expect(timeout(10, () => sleep(20))).rejects.toThrow(TimeoutError);
  const task = createTask(() => sleep(20));
  task.cancel('enough');
  await expect(task).rejects.toThrow(CancelledError);
});
