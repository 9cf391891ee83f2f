import { InvalidStateError } from '@aiokit/core';
import { checkDuration, checkFunction, checkOptions } from './check.ts';
import { currentRun } from './current-run.ts';
import type { AllowLeaks } from './leaks.ts';
import type { LiveTestContext, TestContext } from './test-context.ts';
import { TestRun } from './test-run.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface RunTestOptions {
  /** For reports. Default: `'test'`. */
  name?: string | undefined;
  /** The limit in **real** ms; virtual time has none. Default: 5,000. */
  timeout?: number | undefined;
  /** Run in real time, with no virtual clock. Default: false. */
  live?: boolean | undefined;
  /** The clock to use. Default: a new one, made with the next three options. */
  clock?: VirtualClock | undefined;
  /** The virtual wall clock's time at the beginning. Default: now. */
  start?: Date | string | number | undefined;
  /** Whether time moves by itself. Default: true. */
  autoJump?: boolean | undefined;
  /** Real ms for which sockets without an adapter must have been quiet before a jump. Default: 10. */
  quiet?: number | undefined;
  /** Real ms after which an operation in flight fails the test by name. Default: 5,000, or three quarters of `timeout` if that is less. */
  ioTimeout?: number | undefined;
  /** What the test may leave behind. `true`: anything. Default: nothing. */
  allowLeaks?: AllowLeaks | boolean | undefined;
  /** Whether Date, setTimeout and the like follow the clock: see {@link installGlobals}. Default: false. */
  globals?: boolean | undefined;
  /** Real ms without a turn of Node's loop after which a step counts as one that never yields; 0: never. Default: 2,000. */
  watchdog?: number | undefined;
  /** A signal whose abort cancels the test. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs `body` as a test, under any runner: in one task, on a loop and a virtual clock of its own.
 *
 * Time jumps when nothing can run and nothing real is in flight. The test fails when it deadlocks, at once and with the tree
 * of its tasks; when it takes longer than `timeout` of real time; and when it leaves tasks, timers, connections or failures
 * behind.
 *
 * @param body the test.
 * @returns what `body` returns.
 * @throws what `body` throws; `DeadlockError`; {@link TestTimeoutError}; {@link OperationStalledError}; {@link LeakError};
 * `InvalidStateError` inside another test or task.
 *
 * @example
 * ```ts
 * it('tries again after a minute', () =>
 *   runTest(async ({ clock }) => {
 *     await retry(flaky);
 *     assert.equal(clock.now(), 60_000);
 *   }));
 * ```
 */
export function runTest<R>(
  body: (context: LiveTestContext) => R,
  options: RunTestOptions & { live: true },
): Promise<Awaited<R>>;
export function runTest<R>(body: (context: TestContext) => R, options?: RunTestOptions): Promise<Awaited<R>>;
export async function runTest<R>(body: (context: TestContext) => R, options: RunTestOptions = {}): Promise<Awaited<R>> {
  checkFunction(body, 'body');
  checkOptions(options, 'options');
  checkDuration(options.timeout ?? 0, 'options.timeout');
  checkDuration(options.ioTimeout ?? 0, 'options.ioTimeout');
  checkDuration(options.watchdog ?? 0, 'options.watchdog');
  const outer = currentRun();
  if (outer !== null) {
    throw new InvalidStateError(
      `runTest() inside the test '${outer.name}', whose clock would stand still meanwhile: call the function itself`,
    );
  }
  return new TestRun(options).run(body);
}
