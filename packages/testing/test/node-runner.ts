// Run by node.test.ts in a process of its own, as `node --test` would.
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import * as runner from 'node:test';
import { CancelledError, createTask, currentTask, sleep, timeout } from '@aiokit/core';
import { it, test } from '@aiokit/testing/node';

test('a body runs in virtual time', async ({ clock, loop, name }) => {
  await sleep(3_600_000);
  assert.equal(clock.now(), 3_600_000);
  assert.equal(loop.clock, clock);
  assert.equal(name, 'a body runs in virtual time');
});

test('options reach the runner and the clock', { timeout: 5_000, autoJump: false }, async ({ clock }) => {
  const task = createTask(() => sleep(10, 'woken'));
  await clock.advance(10);
  assert.equal(await task, 'woken');
});

test.live('a live body runs in real time', async ({ clock }) => {
  await sleep(1);
  assert.equal(clock.real, true);
});

test.each([1, 2])('case %d', async (n, { clock }) => {
  await sleep(n);
  assert.equal(clock.now(), n);
});

test.describe('a suite', () => {
  it('holds tests', () => sleep(1_000));
  it.skip('skips', () => assert.fail());
  it.skipIf(true)('skips if', () => assert.fail());
  it.todo('to do');
});

const tenant = new AsyncLocalStorage<string>();
const order: string[] = [];
const extended = test
  .extend<{ inTenant: string; onlyForASecond: undefined }>({
    inTenant: async ({ clock }, use) => {
      await sleep(10);
      order.push(`up at ${clock.now()}`);
      await tenant.run('blue', () => use('blue'));
      order.push('down');
    },
    onlyForASecond: async ({ inTenant }, use) => {
      assert.equal(tenant.getStore(), inTenant);
      await timeout(1_000, () => use(undefined));
    },
  })
  .extend<{ main: unknown }>({ main: (_, use) => use(currentTask()) });

extended('fixtures run in the task of the test', async ({ inTenant, main, clock }) => {
  assert.equal(tenant.getStore(), inTenant);
  assert.equal(currentTask(), main);
  assert.equal(clock.now(), 10);
  order.push('body');
});
test('and are torn down', () => assert.deepEqual(order.splice(0), ['up at 10', 'body', 'down']));
extended('fixtures open scopes that reach the test', () => assert.rejects(sleep(2_000), CancelledError));
extended.live('also in real time', ({ clock }) => assert.equal(clock.real, true));
test('the rest is that of node:test', ({ assert: own }) => {
  own.equal(test.mock, runner.mock);
  own.equal(test.test, test);
});

test('a deadlock', () => new Promise(() => {}));
// The runner's own limit is so much later that a busy machine gets there in time.
test('a limit', { timeout: 3_000 }, async () => {
  for (;;) await sleep(1_000);
});
test('a leak', () => void createTask(() => sleep(1_000), { name: 'forgotten' }));
