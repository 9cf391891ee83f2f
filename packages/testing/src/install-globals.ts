/**
 * Globals that follow a virtual clock, for code that knows nothing of loops.
 *
 * The replacements stand for the whole process but ask, at each call, which task calls: only tasks of a loop whose clock has
 * its globals installed get virtual time. So tests that run side by side do not meet, and drivers' plumbing, which runs
 * detached from any task, keeps real timers. (`@sinonjs/fake-timers` replaces them for everybody; hence not it.)
 *
 * nextTick, queueMicrotask and setImmediate are never replaced: Node's streams and core's turns stand on them.
 */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import { promisify } from 'node:util';
import { currentTask, InvalidStateError } from '@aiokit/core';
import { currentRun } from './current-run.ts';
import { replaceProperty } from './replace-property.ts';
import type { VirtualClock } from './virtual-clock.ts';
import { virtualDate } from './virtual-date.ts';
import { virtualTemporalNow } from './virtual-temporal.ts';
import { cancelVirtualTimer, virtualInterval, virtualTimeout } from './virtual-timeouts.ts';
import { virtualIntervals, virtualWait } from './virtual-timers-promises.ts';

const clocks = new Map<VirtualClock, number>();
let undo: (() => void)[] = [];

/**
 * Makes `Date`, `Temporal.Now`, `setTimeout`, `setInterval` (and `node:timers`, `node:timers/promises`), `performance.now` and
 * `AbortSignal.timeout` follow the clock, for code that runs in tasks of its loop. Undone at the end of the test, or when
 * what is returned is disposed of.
 *
 * @param clock default: the clock of the test that runs.
 * @throws `InvalidStateError` outside of a test, without a clock.
 *
 * @example
 * ```ts
 * test('caches for a minute', async () => {
 *   installGlobals();
 *   const first = cached(); // asks Date.now()
 *   await sleep(61_000);
 *   expect(cached()).not.toBe(first);
 * });
 * ```
 */
export function installGlobals(clock?: VirtualClock): Disposable {
  const run = currentRun();
  const chosen = clock ?? run?.clock;
  if (chosen === undefined || chosen === null) {
    throw new InvalidStateError('installGlobals() outside of a test in virtual time: say for which clock');
  }
  if (clocks.size === 0) undo = replaceAll();
  clocks.set(chosen, (clocks.get(chosen) ?? 0) + 1);
  let installed = true;
  const uninstall = () => {
    if (!installed) return;
    installed = false;
    const left = (clocks.get(chosen) ?? 1) - 1;
    if (left > 0) clocks.set(chosen, left);
    else clocks.delete(chosen);
    if (clocks.size === 0) for (const each of undo.splice(0).reverse()) each();
    syncBuiltinESMExports();
  };
  if (run !== null && run.clock === chosen) run.cleanups.push(uninstall);
  return { [Symbol.dispose]: uninstall };
}

/** The clock that the calling code lives by; `null` for the machine's. */
function ambientClock(): VirtualClock | null {
  const clock = currentTask()?.loop.clock as VirtualClock | undefined;
  return clock !== undefined && clocks.has(clock) ? clock : null;
}

function replaceAll(): (() => void)[] {
  const { setTimeout, setInterval, clearTimeout, clearInterval, performance, AbortSignal, Date: RealDate } = globalThis;
  const now = performance.now.bind(performance);
  const abortAfter = AbortSignal.timeout.bind(AbortSignal);
  const { setTimeout: wait, setInterval: every } = timersPromises;
  const { wait: schedulerWait } = timersPromises.scheduler;

  type Timed = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => unknown;
  const start =
    (real: Timed, virtual: typeof virtualTimeout): Timed =>
    (callback, ms, ...args) => {
      const clock = ambientClock();
      return clock === null ? real(callback, ms, ...args) : virtual(clock, callback, ms, args);
    };
  const stop = (real: (timer: never) => void) => (timer: unknown) => {
    if (!cancelVirtualTimer(timer)) real(timer as never);
  };
  const waiting = (ms?: number, value?: unknown, options?: object) => {
    const clock = ambientClock();
    return clock === null ? wait(ms, value, options) : virtualWait(clock, ms, value, options);
  };
  const functions = {
    setTimeout: Object.assign(start(setTimeout as Timed, virtualTimeout), { [promisify.custom]: waiting }),
    setInterval: start(setInterval as Timed, virtualInterval),
    clearTimeout: stop(clearTimeout),
    clearInterval: stop(clearInterval),
  };
  const replaced = Object.entries(functions).flatMap(([name, replacement]) => [
    replaceProperty(globalThis, name, replacement),
    replaceProperty(timers, name, replacement),
  ]);
  replaced.push(
    replaceProperty(globalThis, 'Date', virtualDate(RealDate, ambientClock)),
    replaceProperty(performance, 'now', () => ambientClock()?.now() ?? now()),
    replaceProperty(AbortSignal, 'timeout', (ms: number) => {
      const clock = ambientClock();
      return clock === null ? abortAfter(ms) : abortOn(clock, ms);
    }),
    replaceProperty(timersPromises, 'setTimeout', waiting),
    replaceProperty(timersPromises, 'setInterval', (ms?: number, value?: unknown, options?: object) => {
      const clock = ambientClock();
      return clock === null ? every(ms, value, options) : virtualIntervals(clock, ms, value, options);
    }),
    replaceProperty(timersPromises.scheduler, 'wait', (ms: number, options?: object) => {
      const clock = ambientClock();
      return clock === null
        ? schedulerWait.call(timersPromises.scheduler, ms, options)
        : virtualWait(clock, ms, undefined, options);
    }),
    ...virtualTemporalNow(ambientClock),
  );
  syncBuiltinESMExports();
  return replaced;
}

/** Nobody can take it back, so it is no leak. */
function abortOn(clock: VirtualClock, ms: number): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
  clock._setTimer(clock.now() + ms, abort, { leaks: false });
  return controller.signal;
}
