import { expect, test } from 'vitest';
import { main as asCompleted } from './000/as-completed.ts';
import { main as cleanup } from './000/cleanup.ts';
import { main as compute } from './000/compute.ts';
import { main as factorial } from './000/factorial.ts';
import { main as shield } from './000/shield.ts';
import { main as tasks } from './000/tasks.ts';
import { main as waitFor } from './000/wait-for.ts';
import { printed, printedByProgram, secondsOf } from './printed.ts';

test('row 1: the sum comes after a second', async () => {
  expect(await printed(compute)).toEqual({ lines: ['Compute...', '1 + 2 = 3'], seconds: 1 });
});

test('row 2: three factorials take turns, and the results keep the order of the arguments', async () => {
  const { lines, seconds } = await printed(factorial);
  expect(lines).toEqual([
    'Task A: Compute factorial(2)...',
    'Task B: Compute factorial(2)...',
    'Task C: Compute factorial(2)...',
    'Task A: factorial(2) = 2',
    'Task B: Compute factorial(3)...',
    'Task C: Compute factorial(3)...',
    'Task B: factorial(3) = 6',
    'Task C: Compute factorial(4)...',
    'Task C: factorial(4) = 24',
    '[2, 6, 24]',
  ]);
  expect(seconds).toBe(3);
});

test('row 3: the hour is cut off after a second', async () => {
  expect(await printed(waitFor)).toEqual({ lines: ['timeout!'], seconds: 1 });
});

test('row 4: the cleanup comes before the timeout', async () => {
  expect(await printed(cleanup)).toEqual({ lines: ['closed', 'timeout!'], seconds: 6 });
});

test('row 5: the shielded one goes on', async () => {
  expect(await printed(shield)).toEqual({ lines: ['timeout!', 'yay!'], seconds: 5 });
});

test('row 6: tasks start in order and take 2 s in all', async () => {
  const { lines } = await printed(tasks);
  const [before, ...rest] = lines;
  expect(rest.slice(0, -1)).toEqual(['hehHi_1', 'hehHi_2', 'Hi_2', 'Hi_1']);
  expect((secondsOf(rest.at(-1)) - secondsOf(before) + 86_400) % 86_400).toBe(2);
});

test('row 7: factorials are printed as they come', async () => {
  const { lines, seconds } = await printed(asCompleted);
  expect(lines).toEqual(['Factorial(2) = 2', 'Factorial(3) = 6', 'Factorial(4) = 24']);
  expect(seconds).toBe(3);
});

test('row 8: a thread blocks, the loop does not: both together take as long as one', async () => {
  const lines = await printedByProgram('000/to-thread');
  expect(lines.map((line) => line.slice(9))).toEqual(['start async', 'block IO', 'unblock IO', 'finish async']);
  const took = secondsOf(lines[3]) - secondsOf(lines[0]);
  expect((took + 86_400) % 86_400).toBeGreaterThanOrEqual(5);
  expect((took + 86_400) % 86_400).toBeLessThan(10);
});

test('row 9: each thread counts in its order', async () => {
  const lines = await printedByProgram('000/threads');
  expect(lines[0]).toMatch(/ beg$/);
  expect(lines.at(-1)).toMatch(/ end \[ 2, 6, 24 \]$/);
  for (const [name, number, result] of [
    ['A', 2, 2],
    ['B', 3, 6],
    ['C', 4, 24],
  ] as const) {
    const own = lines.filter((line) => line.startsWith(`Task ${name}`));
    expect(own).toHaveLength(number);
    expect(own.at(-1)).toBe(`Task ${name}: factorial(${number}) = ${result}`);
  }
});
