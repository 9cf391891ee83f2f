import { setTimeout as importedTimeout } from 'node:timers';
import { setInterval as everyMs, scheduler, setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createTask, detached, sleep } from '@aiokit/core';
import { installGlobals, runTest } from '@aiokit/testing';
import { expect, test } from 'vitest';

const START = Date.UTC(2030, 0, 1);
const virtual = { globals: true, start: START };

test('Date follows the clock, with and without new', () =>
  runTest(async () => {
    expect(Date.now()).toBe(START);
    await sleep(86_400_000);
    expect(new Date().toISOString()).toBe('2030-01-02T00:00:00.000Z');
    expect(Date()).toContain('Jan 02 2030');
    expect(new Date()).toBeInstanceOf(Date);
    expect(new Date(0).getTime()).toBe(0);
    class Stamp extends Date {}
    expect(new Stamp()).toBeInstanceOf(Stamp);
    expect(new Stamp().getTime()).toBe(Date.now());
  }, virtual));

test('setTimeout and setInterval follow the clock, as globals, imported and promised', () =>
  runTest(async ({ clock }) => {
    const log: unknown[] = [];
    setTimeout((...args) => log.push([clock.now(), ...args]), 1_000, 'a', 'b');
    importedTimeout(() => log.push([clock.now(), 'imported']), 2_000);
    const dropped = setTimeout(() => log.push('dropped'), 500);
    const byNumber = setTimeout(() => log.push('dropped by number'), 500);
    clearTimeout(dropped);
    clearTimeout(Number(byNumber));
    const interval = setInterval(() => {
      log.push([clock.now(), 'tick']);
      if (clock.now() === 1_800) clearInterval(interval);
    }, 600);
    await wait(3_000);
    expect(log).toEqual([
      [600, 'tick'],
      [1_000, 'a', 'b'],
      [1_200, 'tick'],
      [1_800, 'tick'],
      [2_000, 'imported'],
    ]);
    expect(await promisify(setTimeout)(10, 'promisified')).toBe('promisified');
    expect(await wait(10, 'value')).toBe('value');
    await scheduler.wait(10);
    expect(clock.now()).toBe(3_030);
    const ticks: number[] = [];
    for await (const _ of everyMs(100)) if (ticks.push(clock.now()) === 3) break;
    expect(ticks).toEqual([3_130, 3_230, 3_330]);
    await expect(wait(1_000, null, { signal: AbortSignal.timeout(10) })).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(clock.now()).toBe(3_340);
  }, virtual));

test('a Timeout has the methods of Node’s', () =>
  runTest(async ({ clock }) => {
    const fired: number[] = [];
    const timeout = setTimeout(() => fired.push(clock.now()), 100);
    expect(timeout.hasRef()).toBe(true);
    await sleep(50);
    timeout.refresh();
    await sleep(80);
    expect(fired).toEqual([]);
    await sleep(20);
    expect(fired).toEqual([150]);
    expect(
      setTimeout(() => {}, 10)
        .unref()
        .hasRef(),
    ).toBe(false);
  }, virtual));

test('performance.now and AbortSignal.timeout follow the clock', () =>
  runTest(async ({ clock }) => {
    const before = performance.now();
    const signal = AbortSignal.timeout(60_000);
    await sleep(59_999);
    expect(signal.aborted).toBe(false);
    await sleep(1);
    expect(signal.aborted).toBe(true);
    expect((signal.reason as Error).name).toBe('TimeoutError');
    expect(performance.now() - before).toBe(60_000);
    AbortSignal.timeout(60_000); // Nobody can take it back: no leak.
    expect(clock.now()).toBe(60_000);
  }, virtual));

test('Temporal.Now follows the clock where there is one', () =>
  runTest(async () => {
    const { Temporal } = globalThis as unknown as { Temporal?: { Now: Record<string, (zone?: string) => object> } };
    await sleep(1_500);
    if (Temporal === undefined) return expect(process.versions.node).toMatch(/^2[0-5]\./);
    expect(String(Temporal.Now.instant?.())).toBe('2030-01-01T00:00:01.5Z');
    expect(String(Temporal.Now.plainDateTimeISO?.('UTC'))).toBe('2030-01-01T00:00:01.5');
    expect(String(Temporal.Now.zonedDateTimeISO?.('Asia/Tokyo'))).toContain('2030-01-01T09:00:01.5+09:00');
  }, virtual));

test('nextTick, queueMicrotask and setImmediate are left alone', () =>
  runTest(() => {
    installGlobals();
    const { nextTick } = process;
    expect([nextTick, queueMicrotask, setImmediate].map((each) => each.name)).toEqual([
      'nextTick',
      'queueMicrotask',
      'setImmediate',
    ]);
  }));

test('is for tasks of this clock only, and undone at the end', async () => {
  const { Date: date, setTimeout: timeout } = globalThis;
  await Promise.all([
    runTest(async () => {
      await sleep(1_000);
      expect(Date.now()).toBe(START + 1_000);
      expect(detached(() => Date.now())).toBeGreaterThan(START - 10 * 365 * 86_400_000);
      expect(detached(() => Date.now())).toBeLessThan(START + 365 * 86_400_000 * 50);
      expect(detached(() => setTimeout(() => {}, 1).constructor.name)).toBe('Timeout');
    }, virtual),
    runTest(
      async () => {
        await sleep(50);
        expect(Date.now()).toBe(50);
      },
      { globals: true, start: 0 },
    ),
    runTest(async () => {
      await sleep(86_400_000 * 365 * 100);
      expect(Math.abs(Date.now() - date.now())).toBeLessThan(10_000);
    }),
  ]);
  expect(globalThis.Date).toBe(date);
  expect(globalThis.setTimeout).toBe(timeout);
});

test('can be undone before the end', () =>
  runTest(
    async ({ clock }) => {
      const installed = installGlobals(clock);
      expect(Date.now()).toBe(START);
      installed[Symbol.dispose]();
      expect(Date.now()).not.toBe(START);
    },
    { start: START },
  ));

test('is refused outside of a test', () => {
  expect(() => installGlobals()).toThrow('installGlobals() outside of a test in virtual time: say for which clock');
});

test('a timer that is left set fails the test', async () => {
  const run = runTest(() => void setTimeout(() => {}, 5_000), { globals: true });
  await expect(run).rejects.toThrow(/a timer is set for 5000 ms.*install-globals\.test\.ts/);
  const task = runTest(() => void createTask(() => wait(5)), virtual);
  await expect(task).rejects.toThrow('still runs');
});
