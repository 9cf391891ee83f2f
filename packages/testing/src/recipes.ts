/**
 * Fixtures and hooks as notes: vitest finds them, in the right order and with overrides, but what it runs only notes down
 * what is to be done. The notes are followed later, one inside the other, in the task of the test: an AsyncLocalStorage
 * value or a cancel scope of a fixture reaches the test.
 */
import { isCancelled } from '@aiokit/core';

export type Context = Record<string, unknown>;
type Body = () => Promise<void>;

/** One step around the test: it calls `next` for what is inside. */
export type Recipe = (context: Context, next: Body) => Promise<void>;

type AnyFunction = (...args: never[]) => unknown;

const notes = new WeakMap<object, Recipe[]>();

export function noteRecipe(context: object, recipe: Recipe): void {
  const noted = notes.get(context);
  if (noted === undefined) notes.set(context, [recipe]);
  else noted.push(recipe);
}

/** Takes what was noted for a test, so that a retry begins anew. */
export function takeRecipes(context: object): Recipe[] {
  const noted = notes.get(context) ?? [];
  notes.delete(context);
  return noted;
}

/**
 * Runs the body inside the recipes, the first noted outermost.
 *
 * A failure of the body does not show inside the fixtures around it, as in vitest: their teardown runs. A cancel does, so
 * that scopes work.
 */
export async function followRecipes(recipes: readonly Recipe[], context: Context, body: Body): Promise<void> {
  const failures: unknown[] = [];
  const follow = async (index: number): Promise<void> => {
    const recipe = recipes[index];
    try {
      if (recipe === undefined) await body();
      else await recipe(context, () => follow(index + 1));
    } catch (error) {
      if (isCancelled(error)) throw error;
      failures.push(error);
    }
  };
  await follow(0);
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, 'The test and its fixtures failed');
}

/** A fixture of the form `async ({ … }, use) => { await use(value); }`. */
export function fixtureRecipe(name: string, fixture: AnyFunction): Recipe {
  return async (context, next) => {
    let used = false;
    const use = async (value: unknown) => {
      used = true;
      context[name] = value;
      await next();
    };
    await (fixture as (context: Context, use: (value: unknown) => Promise<void>) => unknown)(context, use);
    if (!used) throw new Error(`Fixture "${name}" returned without calling "use": call it on every path`);
  };
}

/** A fixture of the form `async ({ … }, { onCleanup }) => value`. */
export function builderRecipe(name: string, build: AnyFunction): Recipe {
  return async (context, next) => {
    const cleanups: (() => unknown)[] = [];
    const onCleanup = (cleanup: () => unknown) => void cleanups.push(cleanup);
    context[name] = await (build as (context: Context, tools: object) => unknown)(context, { onCleanup });
    try {
      await next();
    } finally {
      for (const cleanup of cleanups.reverse()) await cleanup();
    }
  };
}

/** vitest reads from a function's source which fixtures it uses: the wrapper shows the source of what it wraps. */
export function withSourceOf<F extends AnyFunction>(wrapper: F, original: AnyFunction): F {
  return Object.defineProperty(wrapper, 'toString', { value: () => Function.prototype.toString.call(original) });
}
