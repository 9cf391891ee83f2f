import { run } from '@aiokit/core';
import { expect, test } from 'vitest';
import { main as callbacks } from './004/callbacks.ts';
import { main as cancelOne } from './004/cancel-one.ts';
import { main as executors } from './004/executors.ts';
import { main as lostTasks } from './004/lost-tasks.ts';
import { printed, printedByItself } from './printed.ts';

test('row 43: 500 requests and three steps, with callbacks and with tasks', async () => {
  const lines: string[] = [];
  await run(() => callbacks((line) => lines.push(line)), { handleSignals: false });
  expect(lines.map((line) => line.replace(/\d+ bytes/, 'bytes'))).toEqual([
    'callbacks: 500 answers',
    'callbacks: bytes in three steps',
    'tasks: 500 answers',
    'tasks: bytes in three steps',
  ]);
  expect(lines[1]?.replace('callbacks', 'tasks')).toBe(lines[3]);
});

test('row 44: tasks end with main unless a group waits for them', async () => {
  const { lines, seconds } = await printedByItself(lostTasks);
  expect(lines[0]).toMatch(/^TypeError: fn must be a function.*A promise is already running/);
  expect(lines.slice(1)).toEqual(['nothing was printed', ...Array(10).fill('kek')]);
  expect(seconds).toBe(10);
});

test('row 45: all but the fifth print, and the cancel is passed on', async () => {
  const { lines } = await printed(cancelOne);
  const all = [0, 1, 2, 3, 4, 6, 7, 8, 9].map((number) => `kek ${number}`);
  expect(lines.slice(0, 10)).toEqual([...all, 'cancelled: 5']);
  expect(lines.at(-1)).toBe('CancelledError was passed on');
  expect(lines).not.toContain('error');
});

test('row 48: a pool of threads, a pool of processes, and a function that always runs in a thread', async () => {
  const lines: string[] = [];
  await run(() => executors((line) => lines.push(line)), { handleSignals: false });
  expect(lines).toEqual([
    'the first ran in a thread of its own',
    'the second ran in a process of its own',
    'the third ran in a thread of its own',
    'row 7',
  ]);
});
