import type { Clock, EventLoop, Task, TaskOptions } from '@aiokit/core';
import type { Services } from './test-services.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What a test is given. */
export interface TestContext {
  /** The test's own clock. */
  readonly clock: VirtualClock;
  /** The test's own loop. */
  readonly loop: EventLoop;
  /** Throw-away databases on real servers. */
  readonly services: Services;
  /** As the function {@link backgroundTask}. */
  backgroundTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>>;
}

/** What a test in real time is given. */
export interface LiveTestContext extends Omit<TestContext, 'clock'> {
  readonly clock: Clock;
}
