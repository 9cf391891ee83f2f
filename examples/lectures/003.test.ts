import { run } from '@aiokit/core';
import { expect, test } from 'vitest';
import { main as cancel } from './003/cancel.ts';
import { main as coroutines } from './003/coroutines.ts';
import { main as cpuBound } from './003/cpu-bound.ts';
import { main as debug } from './003/debug.ts';
import { main as future } from './003/future.ts';
import { main as helloEverySecond } from './003/hello-every-second.ts';
import { main as loop } from './003/loop.ts';
import { main as tasks } from './003/tasks.ts';
import { main as timed } from './003/timed.ts';
import { main as waitFor } from './003/wait-for.ts';
import { printed, printedByItself } from './printed.ts';

test('row 29: two awaits come one after the other', async () => {
  expect(await printed(coroutines)).toEqual({
    lines: ['Результат сопрограммы равен 2, а его тип равен number', '2', '3', '2', 'Hello world!'],
    seconds: 1,
  });
});

test('row 30: a task is there at once, and three of 3 s take 3 s', async () => {
  expect(await printed(tasks)).toEqual({ lines: ['Task', '3', 'Время выполнения 3.0000'], seconds: 6 });
});

test('row 31: other code runs meanwhile', async () => {
  const line = 'Пока я жду, исполняется другой код';
  expect(await printed(helloEverySecond)).toEqual({ lines: [line, line], seconds: 3 });
});

test('row 32: a task is cancelled after 5 s', async () => {
  const line = 'Задача не закончилась, следующая проверка через секунду';
  expect(await printed(cancel)).toEqual({ lines: [line, line, line, line, line, 'Задача снята'], seconds: 5 });
});

test('row 33: late work is cancelled, shielded work is not', async () => {
  expect(await printed(waitFor)).toEqual({
    lines: ['Тайм-аут!', 'Задача была снята? true', 'Задача заняла более 5 с, скоро она закончится', '10'],
    seconds: 11,
  });
});

test('row 34: a Future is set by hand, and from elsewhere', async () => {
  expect(await printed(future)).toEqual({
    lines: ['my_future готов? false', 'my_future готов? true', 'Результат 42', 'Результат 7'],
    seconds: 1,
  });
});

test('row 35: each function tells when it begins and how long it took', async () => {
  expect((await printed(timed)).lines).toEqual([
    'выполняется main с аргументами ()',
    'выполняется delay с аргументами (2)',
    'delay завершилась за 2.0000 с',
    'выполняется delay с аргументами (3)',
    'delay завершилась за 3.0000 с',
    'main завершилась за 5.0000 с',
  ]);
});

test('row 36: computing holds up a delay beside it, in a thread it does not', async () => {
  const lines: string[] = [];
  await run(() => cpuBound((line) => lines.push(line), 300_000_000, 0.05), { handleSignals: false });
  const endings = lines.filter((line) => line.includes('завершилась')).map((line) => line.split(' ')[0]);
  // The delay began after both computations and so ended last of the three; beside threads it is the first.
  expect(endings.slice(0, 4)).toEqual(['cpuBoundWork', 'cpuBoundWork', 'shortDelay', 'main']);
  expect(endings[4]).toBe('shortDelay');
  expect(endings.slice(5)).toEqual(['inThread', 'inThread', 'main']);
});

test('row 38: a callback of the loop comes soon', async () => {
  expect(await printedByItself(loop)).toEqual({
    lines: ['main ждёт', 'Меня вызовут в близжайшем будущем'],
    seconds: 1,
  });
});

test('row 39: the report names the task and its time', async () => {
  const lines: string[] = [];
  await debug((line) => lines.push(line));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/more than 100 ms.* \d{3}(\.\d+)? ms/);
});
