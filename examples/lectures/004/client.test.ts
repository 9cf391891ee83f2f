import { run } from '@aiokit/core';
import { expect, test } from 'vitest';
import { printed } from '../printed.ts';
import type { Print } from '../program.ts';
import { main as jokes } from './jokes.ts';
import { main as loadMany } from './load-many.ts';
import { main as pools } from './pools.ts';
import { main as sessionClosed } from './session-closed.ts';

async function printedInRealTime(main: (print: Print) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  await run(() => main((line) => lines.push(line)), { handleSignals: false });
  return lines;
}

test('row 42: processes, threads and tasks all get their 500 answers', async () => {
  const lines = await printedInRealTime(pools);
  expect(lines.map((line) => line.replace(/\d+\.\d+ s/, 'N s'))).toEqual([
    'processes: 500 answers in N s',
    'threads: 500 answers in N s',
    'tasks: 500 answers in N s',
  ]);
});

test('row 46: "Hello, world" once as a text and 500 times as JSON', async () => {
  const lines = await printedInRealTime(loadMany);
  expect(lines[0]).toBe('Hello, world');
  expect(lines.slice(1, -1)).toEqual(Array(500).fill('{"message":"Hello, world"}'));
  expect(lines.at(-1)).toMatch(/^\d+\.\d+ s$/);
});

test('row 51: a session that is closed too early says so, and ten tasks inside its block are fine', async () => {
  const lines = await printedInRealTime(sessionClosed);
  expect(lines).toEqual([
    '10 failed',
    expect.stringMatching(
      /^InvalidStateError: Session is closed: GET http:\/\/127\.0\.0\.1\/ came after close\(\)\. The usual cause .* await the tasks inside the block/,
    ),
    '10 answers',
  ]);
});

test('row 52: jokes come as they are there, the late one is named, and the consumer ends', async () => {
  const { lines, seconds } = await printed(jokes);
  const inTime = [0, 1, 2, 4, 5, 6, 7, 8, 9].map((i) => `(${i}, {"type":"programming","setup":"joke ${i}"})`);
  expect(lines).toEqual([...inTime, 'joke 3: TimeoutError']);
  expect(seconds).toBe(1.2);
});
