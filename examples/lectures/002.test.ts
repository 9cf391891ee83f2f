import { run } from '@aiokit/core';
import { expect, test } from 'vitest';
import { main as callback } from './002/callback.ts';
import { main as factorial } from './002/factorial.ts';
import { main as future } from './002/future.ts';
import { main as helloWorld } from './002/hello-world.ts';
import { main as lock } from './002/lock.ts';
import { main as printSum } from './002/print-sum.ts';
import { main as sayAfter } from './002/say-after.ts';
import { main as timeout } from './002/timeout.ts';
import { printed, printedByItself, secondsOf } from './printed.ts';

test('row 17: a callback and an await get the same page', async () => {
  const lines: string[] = [];
  await run(() => callback((line) => lines.push(line)), { handleSignals: false });
  const first = '<!doctype html><title>A page</title><p>All work and no play makes Jack...';
  expect(lines).toEqual(['the request is on its way', first, first]);
});

test('row 18: a loop made by hand says hello and, a second later, world', async () => {
  expect(await printedByItself(helloWorld)).toEqual({ lines: ['hello', 'world'], seconds: 1 });
});

test('row 19: 3 s in sequence, 2 s gathered', async () => {
  const { lines, seconds } = await printed(sayAfter);
  expect(lines.map((line) => line.replace(/ at .*/, ''))).toEqual([
    ...['started', 'hello', 'world', 'finished'],
    ...['started', 'hello', 'world', 'finished'],
  ]);
  const took = (from: number, to: number) => (secondsOf(lines[to]) - secondsOf(lines[from]) + 86_400) % 86_400;
  expect([took(0, 3), took(4, 7), seconds]).toEqual([3, 2, 5]);
});

test('row 20: one async function awaits another', async () => {
  expect(await printed(printSum)).toEqual({ lines: ['Compute...', '1 + 2 = 3'], seconds: 1 });
});

test('row 21: the printed answer of exercise 1', async () => {
  expect((await printed(factorial)).lines).toEqual([
    'Task A: Compute factorial(2)...',
    'Task B: Compute factorial(2)...',
    'Task C: Compute factorial(2)...',
    'Task A: factorial(2) = 2',
    'Task B: Compute factorial(3)...',
    'Task C: Compute factorial(3)...',
    'Task B: factorial(3) = 6',
    'Task C: Compute factorial(4)...',
    'Task C: factorial(4) = 24',
  ]);
});

test('row 22: timeout!', async () => {
  expect(await printed(timeout)).toEqual({ lines: ['timeout!'], seconds: 1 });
});

test('row 23: three increments under one lock are three, one after the other', async () => {
  expect(await printed(lock)).toEqual({ lines: ['shared state: 3, locked: false'], seconds: 3 });
});

test('row 24: a Future in each of its states', async () => {
  expect(await printed(future)).toEqual({
    lines: [
      'hello ...',
      'pending: InvalidStateError',
      '... world',
      '... world',
      'done: true, cancelled: false',
      'result() of a cancelled one: CancelledError',
      'exception() of a cancelled one: CancelledError',
      'done: true, cancelled: true',
    ],
    seconds: 1,
  });
});
