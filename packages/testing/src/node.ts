/** `test` for node:test: each body in one task and in virtual time. */
import * as runner from 'node:test';
import { format } from 'node:util';
import { checkFunction } from './check.ts';
import { type RunTestOptions, runTest } from './run-test.ts';
import type { LiveTestContext, TestContext } from './test-context.ts';

export interface NodeTestOptions
  extends runner.TestOptions,
    Omit<RunTestOptions, 'name' | 'signal' | 'live' | 'timeout'> {}

type Body<C> = (context: runner.TestContext & C) => unknown;

/** Registers a test, as node:test's own function does. */
export interface Register<C> {
  (name: string, body?: Body<C>): Promise<void>;
  (name: string, options: NodeTestOptions, body?: Body<C>): Promise<void>;
  (body: Body<C>): Promise<void>;
}

/** node:test's `test`, whose bodies run as {@link runTest} runs them. */
export interface Test extends Register<TestContext> {
  readonly skip: Register<TestContext>;
  readonly only: Register<TestContext>;
  readonly todo: Register<TestContext>;
  /** The same in real time: `clock` is the machine's. */
  readonly live: Register<LiveTestContext> & Record<'skip' | 'only' | 'todo', Register<LiveTestContext>>;
  /** Registers one test for each case; `%s` in the name is the case. */
  each<T>(
    cases: readonly T[],
  ): (name: string, body: (item: T, context: runner.TestContext & TestContext) => unknown) => void;
  /** As `test`, or `test.skip` if the condition holds. */
  skipIf(condition: unknown): Register<TestContext>;
  /** As `test`, or `test.skip` unless the condition holds. */
  runIf(condition: unknown): Register<TestContext>;
  readonly describe: typeof runner.describe;
  readonly suite: typeof runner.suite;
  readonly before: typeof runner.before;
  readonly after: typeof runner.after;
  readonly beforeEach: typeof runner.beforeEach;
  readonly afterEach: typeof runner.afterEach;
}

/**
 * node:test's `test` in virtual time. Its `timeout` is a limit in real time; virtual time has none.
 *
 * The body is a function of one argument: node:test's context with what {@link TestContext} adds.
 *
 * @example
 * ```ts
 * test('gives up after a minute', async ({ clock }) => {
 *   await assert.rejects(timeout(60_000, () => sleep(Infinity)), TimeoutError);
 *   assert.equal(clock.now(), 60_000);
 * });
 * ```
 */
export const test: Test = Object.assign(registers<TestContext>({}), {
  live: registers<LiveTestContext>({ live: true }),
  each:
    <T>(cases: readonly T[]) =>
    (name: string, body: (item: T, context: runner.TestContext & TestContext) => unknown) => {
      checkFunction(body, 'body');
      for (const item of cases) test(titleOf(name, item), (context) => body(item, context));
    },
  skipIf: (condition: unknown) => (condition ? test.skip : test),
  runIf: (condition: unknown) => (condition ? test : test.skip),
  describe: runner.describe,
  suite: runner.suite,
  before: runner.before,
  after: runner.after,
  beforeEach: runner.beforeEach,
  afterEach: runner.afterEach,
});
/** As {@link test}. */
export const it: Test = test;

function registers<C>(options: RunTestOptions): Register<C> & Record<'skip' | 'only' | 'todo', Register<C>> {
  return Object.assign(registering<C>(runner.test, options), {
    skip: registering<C>(runner.test.skip, options),
    only: registering<C>(runner.test.only, options),
    todo: registering<C>(runner.test.todo, options),
  });
}

function registering<C>(register: typeof runner.test.skip, options: RunTestOptions): Register<C> {
  return (...args: unknown[]) => {
    const body = args.find((each) => typeof each === 'function') as Body<C> | undefined;
    const given = (args.find((each) => typeof each === 'object' && each !== null) ?? {}) as NodeTestOptions;
    const name = typeof args[0] === 'string' ? args[0] : body?.name || '<anonymous>';
    if (body === undefined) return register(name, given) as Promise<void>;
    if (body.length > 1) throw new TypeError(`The body of '${name}' must take one argument: there is no done callback`);
    return register(name, given, (context) =>
      inTask(body, context as runner.TestContext, { ...options, ...given, name }),
    );
  };
}

function inTask<C>(body: Body<C>, given: runner.TestContext, options: RunTestOptions): Promise<void> {
  // node:test would only say that time is over: so much earlier the test is asked what it waits for.
  const timeout = options.timeout === undefined ? Infinity : 0.8 * options.timeout;
  const run = async (context: TestContext) => {
    // Its accessors work on that very object only.
    await body(Object.assign(given, context) as never);
  };
  return runTest(run, { ...options, timeout, signal: given.signal });
}

function titleOf(name: string, item: unknown): string {
  return name.includes('%') ? format(name, item) : `${name} (${format(item)})`;
}
