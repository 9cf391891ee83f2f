/**
 * Async tests in virtual time.
 *
 *   tests     run-test.ts, test-run.ts          a body in one task, its limits, what it leaves behind
 *   time      virtual-clock.ts                  when it may jump; operation-watch.ts and foreign-activity.ts say what is under way
 *   globals   install-globals.ts                what follows the clock for tasks of the test
 *   hangs     watchdog.ts, leaks.ts             a step that never yields; what is left behind
 *   order     explore.ts, sequencer.ts, …       other orders of the same test
 */

export { backgroundTask } from './background-task.ts';
export { assertCheckpoints, assertNoCheckpoints } from './checkpoints.ts';
export { ExplorationError, LeakError, OperationStalledError, StuckStepError, TestTimeoutError } from './errors.ts';
export { type Explored, type ExploreOptions, explore } from './explore.ts';
export { installGlobals } from './install-globals.ts';
export type { AllowLeaks } from './leaks.ts';
export { type RunTestOptions, runTest } from './run-test.ts';
export { Sequencer } from './sequencer.ts';
export type { StrategyName } from './strategies.ts';
export type { LiveTestContext, TestContext } from './test-context.ts';
export type { Services } from './test-services.ts';
export { VirtualClock, type VirtualClockOptions } from './virtual-clock.ts';
export { waitAllTasksBlocked } from './wait-all-tasks-blocked.ts';
