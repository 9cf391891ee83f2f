/**
 * `test` for vitest: each body, with its fixtures and hooks, in one task and in virtual time.
 *
 * vitest's own surface is kept by wrapping it: a Proxy replaces the functions that are handed to vitest and passes the rest
 * on. vitest runs each fixture in a promise chain of its own, so contexts and cancel scopes would not reach the test: see
 * recipes.ts.
 */
import { type TestAPI, TestRunner, test as vitestTest } from 'vitest';
import {
  builderRecipe,
  type Context,
  fixtureRecipe,
  followRecipes,
  noteRecipe,
  type Recipe,
  takeRecipes,
  withSourceOf,
} from './recipes.ts';
import { type RunTestOptions, runTest } from './run-test.ts';
import type { LiveTestContext, TestContext } from './test-context.ts';

export type VitestOptions = Omit<RunTestOptions, 'name' | 'signal' | 'live' | 'timeout'>;

/** vitest's `test`, whose bodies run as {@link runTest} runs them. */
export type Test = TestAPI<TestContext> & {
  /** The same in real time: `clock` is the machine's. */
  readonly live: TestAPI<LiveTestContext>;
  /** The same with other options. */
  configure(options: VitestOptions): Test;
};

type AnyFunction = (...args: never[]) => unknown;
type Body = (...args: unknown[]) => unknown;

const provided = Object.fromEntries(
  ['clock', 'loop', 'services', 'backgroundTask'].map((name) => [name, undefined]),
) as unknown as TestContext;

/**
 * vitest's `test` in virtual time. Fixtures of `test.extend`, hooks of `test.beforeEach` and the body run in **one** task, so
 * a context or a scope that a fixture opens around `use` is there in the test. Fixtures of files and workers stay vitest's.
 *
 * The test's timeout is a limit in real time; virtual time has none. A fifth of it is kept for saying what the test waits for.
 *
 * @example
 * ```ts
 * test('gives up after a minute', async ({ clock }) => {
 *   await expect(timeout(60_000, () => sleep(Infinity))).rejects.toThrow(TimeoutError);
 *   expect(clock.now()).toBe(60_000);
 * });
 * ```
 */
export const test: Test = wrap(vitestTest.extend(provided as never) as TestAPI<TestContext>, {});
/** As {@link test}. */
export const it: Test = test;

/** What is also one of vitest's `test`, with a flag set. */
const MODES = new Set(['only', 'skip', 'todo', 'fails', 'concurrent']);

function wrap(api: TestAPI<TestContext>, options: RunTestOptions): Test {
  const call = (name: keyof typeof api, args: unknown[]) => (api[name] as Body).apply(api, args);
  const methods: Record<string, Body> = {
    configure: (more) => wrap(api, { ...options, ...(more as VitestOptions) }),
    skipIf: (condition) => wrap(api.skipIf(condition) as never, options),
    runIf: (condition) => wrap(api.runIf(condition) as never, options),
    each: (...cases) => registering(call('each', cases) as Body, (body) => inTask(body, options, null)),
    for: (...cases) => registering(call('for', cases) as Body, (body) => inTask(body, options, 1)),
    extend: (...fixtures) => wrap(call('extend', noted(fixtures)) as never, options),
    override: (...fixtures) => {
      call('override', noted(fixtures));
      return wrapped;
    },
    scoped: (fixtures) => methods.override?.(fixtures),
    beforeEach: (hook, limit) => call('beforeEach', [noteHook(hook as AnyFunction, before), limit]),
    afterEach: (hook, limit) => call('beforeEach', [noteHook(hook as AnyFunction, after), limit]),
    aroundEach: (hook, limit) => call('beforeEach', [noteAround(hook as AnyFunction), limit]),
  };
  const wrapped: Test = new Proxy(api as Test, {
    apply: (_, self, args) =>
      registering(
        (...all) => Reflect.apply(api as never, self, all),
        (body) => inTask(body, options, 0),
      )(...args),
    get(_, key) {
      if (key === 'live') return wrap(api, { ...options, live: true });
      if (typeof key === 'string' && Object.hasOwn(methods, key)) return methods[key];
      const value = Reflect.get(api, key);
      return MODES.has(key as string) ? wrap(value, options) : value;
    },
  });
  return wrapped;
}

/** A function that registers tests: `(name, options?, body, options?)`. */
function registering(register: Body, replace: (body: Body) => Body): Body {
  return (name, ...rest) =>
    register(name, ...rest.map((each) => (typeof each === 'function' ? replace(each as Body) : each)));
}

/** @param at which argument vitest's context is; `null` if the body gets none. */
function inTask(body: Body, options: RunTestOptions, at: number | null): Body {
  const run = (...args: unknown[]): Promise<void> => {
    const given = at === null ? {} : (args[at] as Context & { signal?: AbortSignal });
    return runTest(
      (context: TestContext) => {
        const own: Context = Object.assign(Object.create(given), context);
        const all = at === null ? args : args.with(at, own);
        return followRecipes(takeRecipes(given), own, async () => void (await body(...all)));
      },
      { ...options, ...limitsOf(given.signal) } as RunTestOptions,
    );
  };
  return at === null
    ? run
    : withSourceOf(at === 0 ? (context) => run(context) : (item, context) => run(item, context), body);
}

/** vitest would only say that time is over: so much earlier the test is asked what it waits for. */
function limitsOf(signal: AbortSignal | undefined): RunTestOptions {
  const task = TestRunner.getCurrentTest();
  const timeout = task === undefined || task.timeout === 0 ? Infinity : 0.8 * task.timeout;
  return { name: task?.name, timeout, signal };
}

/** Arguments of `extend`, with what is to run per test replaced by a note. */
function noted(args: unknown[]): unknown[] {
  const [first, ...rest] = args;
  if (typeof first !== 'string') {
    const entries = Object.entries(first as Record<string, unknown>);
    return [Object.fromEntries(entries.map(([name, fixture]) => [name, notedFixture(name, fixture)]))];
  }
  const value = rest.at(-1);
  const options = rest.length > 1 ? (rest[0] as { scope?: string }) : undefined;
  if (typeof value !== 'function' || !isPerTest(options)) return args;
  const note = noting(value as AnyFunction, builderRecipe(first, value as AnyFunction));
  return [{ [first]: options === undefined ? note : [note, options] }];
}

function notedFixture(name: string, fixture: unknown): unknown {
  const [value, options] = Array.isArray(fixture) ? fixture : [fixture, {}];
  if (typeof value !== 'function' || !isPerTest(options)) return fixture;
  const note = noting(value, fixtureRecipe(name, value));
  return Array.isArray(fixture) ? [note, options] : note;
}

function isPerTest(options: { scope?: string } | undefined): boolean {
  return options?.scope === undefined || options.scope === 'test';
}

function noting(original: AnyFunction, recipe: Recipe): AnyFunction {
  const note = async (context: object, use: (value: unknown) => Promise<void>) => {
    noteRecipe(context, recipe);
    await use(undefined);
  };
  return withSourceOf(note as AnyFunction, original);
}

type HookRecipe = (hook: (context: Context) => unknown) => Recipe;

const before: HookRecipe = (hook) => async (context, next) => {
  const undo = await hook(context);
  await next();
  if (typeof undo === 'function') await undo();
};

const after: HookRecipe = (hook) => async (context, next) => {
  await next();
  await hook(context);
};

function noteHook(hook: AnyFunction, recipe: HookRecipe): AnyFunction {
  const note = (context: object) => noteRecipe(context, recipe(hook as (context: Context) => unknown));
  return withSourceOf(note as AnyFunction, hook);
}

function noteAround(hook: AnyFunction): AnyFunction {
  const around = hook as unknown as (next: () => Promise<void>, context: Context) => Promise<void>;
  const note = (context: object) => noteRecipe(context, (own, next) => around(next, own));
  // vitest looks for the fixtures in the second argument of such a hook, and in the first one of this.
  return Object.defineProperty(note as AnyFunction, 'toString', {
    value: () => String(hook).replace(/^([^(]*\()[^,)]*,?/, '$1'),
  });
}
