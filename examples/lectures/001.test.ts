import { expect, test } from 'vitest';
import { main as gather } from './001/gather.ts';
import { delegating, losing, sending, takingTurns, twoTasks } from './001/generators.ts';
import { main as nested } from './001/nested.ts';
import { main as sayAfter } from './001/say-after.ts';
import { main as taskGroup } from './001/task-group.ts';
import { printed, secondsOf } from './printed.ts';

function linesOf(part: (print: (line: string) => void) => void): string[] {
  const lines: string[] = [];
  part((line) => lines.push(line));
  return lines;
}

test('row 12: yield* passes values through and gives what is returned', () => {
  expect(linesOf(delegating)).toEqual(['One', 'Two', 'One', 'Two', '1 2', '(1, 2)']);
});

test('row 12: what next() is given is the value of yield', () => {
  expect(linesOf(sending)).toEqual(['start 100500', '/100500/', '/42/', '/undefined/']);
});

test('row 12: every third value sent is lost', () => {
  const rounds = [
    ['Give me Y', '2', 'Got 3', 'Give me X'],
    ['Give me Y', '20', 'Got 6', 'Give me X'],
    ['Give me Y', '56', 'Got 9', 'Give me X'],
  ];
  expect(linesOf(losing)).toEqual(['Give me X', ...rounds.flat()]);
});

test('row 12: two tasks are driven out of order', () => {
  expect(linesOf(twoTasks)).toEqual([
    'One: Give me X',
    'Two: Give me X',
    'Two: Give me Y, (x=0)',
    'One: Give me Y, (x=1)',
    '[One]: 2',
    '[Two]: 0',
    'One: Give me X',
    'One: Give me Y, (x=5)',
    'Two: Give me X',
    '[One]: 35',
    'One: Give me X',
    'Two: Give me Y, (x=9)',
    'One: Give me Y, (x=10)',
    '[One]: 110',
    '[Two]: 108',
    'One: Give me X',
    'One: Give me Y, (x=14)',
    'Two: Give me X',
    '[One]: 224',
    'One: Give me X',
    'Two: Give me Y, (x=18)',
    'One: Give me Y, (x=19)',
  ]);
});

test('row 12: three generators take turns and end in the order of their lengths', () => {
  const threes = linesOf((print) => takingTurns(print, () => 3));
  expect(threes).toEqual([
    'Start: sum of 10, sum of 3, sum of 5',
    'Done: sum of 3 = 27',
    'Done: sum of 5 = 45',
    'Done: sum of 10 = 90',
  ]);
});

test('row 13: one after the other takes 3 s', async () => {
  const { lines, seconds } = await printed(sayAfter);
  expect(lines.slice(1, -1)).toEqual(['hello', 'world']);
  expect([lines[0], lines.at(-1)]).toEqual([
    expect.stringMatching(/^started at \d\d:\d\d:\d\d$/),
    expect.stringMatching(/^finished at \d\d:\d\d:\d\d$/),
  ]);
  expect((secondsOf(lines.at(-1)) - secondsOf(lines[0]) + 86_400) % 86_400).toBe(3);
  expect(seconds).toBe(3);
});

test('row 14: a task gives what its function returns', async () => {
  expect((await printed(nested)).lines).toEqual(['42']);
});

test('row 15: the slowest comes last, its result stays first', async () => {
  expect(await printed(gather)).toEqual({ lines: ['B', 'C', 'A', '[3, 1, 2]'], seconds: 3 });
});

test('row 16: a group waits for all', async () => {
  expect(await printed(taskGroup)).toEqual({ lines: ['B', 'C', 'A', 'Done'], seconds: 3 });
});
