/** `test` for node:test: each body, with its fixtures, in one task and in virtual time. */
import * as runner from 'node:test';
import { format } from 'node:util';
import { checkFunction } from './check.ts';
import { fixtureRecipe, followRecipes, type Recipe } from './recipes.ts';
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

/** What a fixture of {@link Test.extend} is: it calls `use` with its value, around the test. */
export type Fixture<C, V> = (context: C, use: (value: V) => Promise<void>) => unknown;

type Runner = typeof runner.test;

/** Functions of node:test's that register a test with a flag set; older versions have not all of them. */
const MODES = ['skip', 'only', 'todo', 'expectFailure'] as const;

/** node:test's `test`, whose bodies run as {@link runTest} runs them. What is not named here is node:test's own. */
export interface Test<C = TestContext>
  extends Register<C>,
    Pick<
      Runner,
      'describe' | 'suite' | 'before' | 'after' | 'beforeEach' | 'afterEach' | 'mock' | 'snapshot' | 'assert' | 'run'
    > {
  readonly skip: Register<C>;
  readonly only: Register<C>;
  readonly todo: Register<C>;
  /** The same in real time: `clock` is the machine's. */
  readonly live: Register<Live<C>> & Record<'skip' | 'only' | 'todo', Register<Live<C>>>;
  readonly test: Test<C>;
  readonly it: Test<C>;
  /** Registers one test for each case; `%s` in the name is the case. */
  each<T>(cases: readonly T[]): (name: string, body: (item: T, context: runner.TestContext & C) => unknown) => void;
  /** As `test`, or `test.skip` if the condition holds. */
  skipIf(condition: unknown): Register<C>;
  /** As `test`, or `test.skip` unless the condition holds. */
  runIf(condition: unknown): Register<C>;
  /**
   * The same with fixtures, which every test of it has. They run in the task of the test, one inside the other: a context or
   * a scope that one opens around `use` is there in the next ones and in the body.
   *
   * @example
   * ```ts
   * const withPool = test.extend<{ pool: Pool }>({
   *   pool: async ({ services }, use) => {
   *     const pool = new Pool({ connectionString: (await services.postgres()).url });
   *     await use(pool);
   *     await pool.end();
   *   },
   * });
   * withPool('asks', async ({ pool }) => void (await pool.query('select 1')));
   * ```
   */
  extend<F extends object>(fixtures: { [K in keyof F]: Fixture<runner.TestContext & C & F, F[K]> }): Test<C & F>;
}

type Live<C> = Omit<C, keyof LiveTestContext> & LiveTestContext;

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
export const test: Test = testWith([]);
/** As {@link test}. */
export const it: Test = test;

function testWith<C>(recipes: readonly Recipe[]): Test<C> {
  const register = registers<C>({ recipes });
  const own: Test<C> = Object.assign(register, {
    live: registers<Live<C>>({ recipes, live: true }),
    each:
      <T>(cases: readonly T[]) =>
      (name: string, body: (item: T, context: runner.TestContext & C) => unknown) => {
        checkFunction(body, 'body');
        for (const item of cases) own(titleOf(name, item), (context) => body(item, context));
      },
    skipIf: (condition: unknown) => (condition ? own.skip : own),
    runIf: (condition: unknown) => (condition ? own : own.skip),
    extend: (fixtures: Record<string, (...args: never[]) => unknown>) => {
      const more = Object.entries(fixtures).map(([name, fixture]) => {
        checkFunction(fixture, `fixtures.${name}`);
        return fixtureRecipe(name, fixture);
      });
      return testWith([...recipes, ...more]);
    },
  }) as never;
  return Object.assign(own, { test: own, it: own });
}

interface Settings extends RunTestOptions {
  readonly recipes: readonly Recipe[];
}

function registers<C>(settings: Settings): Register<C> {
  const modes = MODES.filter((mode) => mode in runner.test).map((mode) => {
    const register = (runner.test as unknown as Record<string, typeof runner.test.skip>)[mode];
    return [mode, registering<C>(register as typeof runner.test.skip, settings)];
  });
  return Object.assign(registering<C>(runner.test, settings), { ...runner.test }, Object.fromEntries(modes));
}

function registering<C>(register: typeof runner.test.skip, settings: Settings): Register<C> {
  return (...args: unknown[]) => {
    const body = args.find((each) => typeof each === 'function') as Body<C> | undefined;
    const given = (args.find((each) => typeof each === 'object' && each !== null) ?? {}) as NodeTestOptions;
    const name = typeof args[0] === 'string' ? args[0] : body?.name || '<anonymous>';
    if (body === undefined) return register(name, given) as Promise<void>;
    if (body.length > 1) throw new TypeError(`The body of '${name}' must take one argument: there is no done callback`);
    return register(name, given, (context) =>
      inTask(body, context as runner.TestContext, { ...settings, ...given, name }),
    );
  };
}

function inTask<C>(body: Body<C>, given: runner.TestContext, { recipes, ...options }: Settings): Promise<void> {
  // node:test would only say that time is over: so much earlier the test is asked what it waits for.
  const timeout = options.timeout === undefined ? Infinity : 0.8 * options.timeout;
  const run = (context: TestContext) => {
    // Its accessors work on that very object only.
    const own = Object.assign(given, context);
    return followRecipes(recipes, own as never, async () => void (await body(own as never)));
  };
  return runTest(run, { ...options, timeout, signal: given.signal });
}

function titleOf(name: string, item: unknown): string {
  return name.includes('%') ? format(name, item) : `${name} (${format(item)})`;
}
