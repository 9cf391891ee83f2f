// Run by node.test.ts in a process of its own, as `node --test` would.
import assert from 'node:assert/strict';
import { createTask, sleep } from '@aiokit/core';
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

test('a deadlock', () => new Promise(() => {}));
test('a limit', { timeout: 1_000 }, async ({ clock }) => {
  for (;;) await clock.hold(() => new Promise((resolve) => setTimeout(resolve, 5)));
});
test('a leak', () => void createTask(() => sleep(1_000), { name: 'forgotten' }));
