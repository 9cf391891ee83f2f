import { AsyncLocalStorage } from 'node:async_hooks';
import { detached } from '@aiokit/core';
import type { TestRun } from './test-run.ts';

/** The test at whose bidding code runs, plumbing included. It does not end with the test: see `TestRun.over`. */
const runs = new AsyncLocalStorage<TestRun | undefined>();

/** The test that runs, or `null` outside of any. */
export function currentRun(): TestRun | null {
  const run = runs.getStore();
  return run === undefined || run.over ? null : run;
}

/** @internal */
export function insideRun<R>(run: TestRun, fn: () => R): R {
  return runs.run(run, fn);
}

/** Runs `fn` so that nothing it starts belongs to the test. */
export function outsideRun<R>(fn: () => R): R {
  // Not `exit`: on Node 22 the first `run` inside it brings the outer store back.
  return runs.run(undefined, () => detached(fn));
}
