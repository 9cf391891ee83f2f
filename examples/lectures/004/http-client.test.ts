// Row 50: pytest-asyncio's `event_loop` fixture, an async fixture and an async test. Here each test has a loop, and in virtual
// time; a fixture runs in the task of the test; a test needs no mark to be async.
import { createTask, sleep } from '@aiokit/core';
import { test as aiokitTest } from '@aiokit/testing/vitest';
import { expect } from 'vitest';
import { withPage } from '../page.ts';
import { httpClient } from './http-client.ts';

const test = aiokitTest.extend('slept', async () => sleep(100, 'slept'));

test('http_client answers, run on the loop of the test', async ({ loop }) => {
  await withPage(async (url) => {
    const { status, text } = await loop.createTask(() => httpClient(url));
    expect(status).toBe(200);
    expect(text).toContain('<title>A page</title>');
  });
});

test('an async fixture is ready when the test begins', async ({ slept, clock }) => {
  expect(slept).toBe('slept');
  expect(clock.now()).toBe(100);
});

test('some asyncio code gives the expected result', async ({ clock }) => {
  const doSomething = createTask(() => sleep(3_600_000, 'expected result'));
  expect(await doSomething).toBe('expected result');
  expect(clock.now()).toBe(3_600_000);
});
