/** What the types of threads say; checked by tsc, run only to be well-formed. */
import { type Future, getRunningLoop } from '@aiokit/core';
import { ThreadPoolExecutor, toThread, workerFn } from '@aiokit/core/threads';
import { expectTypeOf, it } from 'vitest';
import type * as work from './support/threads-work.ts';

const file = new URL('./support/threads-work.ts', import.meta.url);
const pick = (side: 'left' | 'right', times?: number) => side.repeat(times ?? 1);

it('the Future is of what the function gives, awaited', () => {
  expectTypeOf(toThread<[number], Promise<string>>).returns.toEqualTypeOf<Future<string>>();
  const calls = () => [
    expectTypeOf(toThread((a: number, b: string) => `${a}${b}`, 1, '')).toEqualTypeOf<Future<string>>(),
    expectTypeOf(toThread(async (a: number) => [a], 1)).toEqualTypeOf<Future<number[]>>(),
    expectTypeOf(toThread(pick, 'left')).toEqualTypeOf<Future<string>>(),
    expectTypeOf(getRunningLoop().runInExecutor(null, pick, 'right', 2)).toEqualTypeOf<Future<string>>(),
    expectTypeOf(new ThreadPoolExecutor().map((n: number) => n > 1, [1])).toEqualTypeOf<Future<boolean[]>>(),
  ];
  expectTypeOf(calls).toBeFunction();
});

it('the parameter of a function without types is that of its argument', () => {
  expectTypeOf(() => toThread((n) => n.toFixed(), 1)).returns.toEqualTypeOf<Future<string>>();
});

it('a workerFn has the type of its function', () => {
  const double = workerFn<typeof work.double>(file, 'double');
  expectTypeOf(() => toThread(double, { numbers: [1] })).returns.toEqualTypeOf<Future<number[]>>();
  expectTypeOf(() => new ThreadPoolExecutor().map(double, [{ numbers: [1] }])).returns.toEqualTypeOf<
    Future<number[][]>
  >();
  // @ts-expect-error: it is called with an object.
  expectTypeOf(() => toThread(double, 1)).toBeFunction();
});

it('arguments that are missing, wrong or too many are errors', () => {
  // @ts-expect-error: too few
  expectTypeOf(() => toThread((a: number) => a)).toBeFunction();
  // @ts-expect-error: wrong
  expectTypeOf(() => toThread((a: number) => a, '')).toBeFunction();
  // @ts-expect-error: too many
  expectTypeOf(() => toThread((a: number) => a, 1, 2)).toBeFunction();
  // @ts-expect-error: not one of the union
  expectTypeOf(() => toThread(pick, 'up')).toBeFunction();
});
