import { shown } from '../check.ts';

/** A function of a module that can be imported, by its address. Made by {@link workerFn}. */
export interface WorkerFn<F> {
  /** The module's URL. */
  readonly module: string;
  /** The name it is exported by. */
  readonly name: string;
  /** @internal Only a type: nothing is there. */
  readonly [TYPE]?: F;
}

declare const TYPE: unique symbol;

/**
 * Names an exported function, for workers to import: it may use everything its module has, unlike a function whose source
 * text is sent. TypeScript modules are imported by Node's own type stripping.
 *
 * The worker imports the whole module. If it is the program itself, what it does at its top level must be guarded by
 * `if (import.meta.main)` or `if (isMainThread)`, as with `__name__ == '__main__'` in Python.
 *
 * @param module the module's URL: `import.meta.url`, or `import.meta.resolve('./work.ts')` for another one.
 * @param name the name that the function is exported by.
 * @throws `TypeError` if the module is no URL or the name no string. That the function exists is seen in the worker.
 *
 * @example
 * ```ts
 * export function fibonacci(n: number): number {
 *   return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
 * }
 * if (import.meta.main) {
 *   console.log(await toThread(workerFn<typeof fibonacci>(import.meta.url, 'fibonacci'), 20)); // => 6765
 * }
 * ```
 */
export function workerFn<F extends (...args: never[]) => unknown>(module: string | URL, name: string): WorkerFn<F> {
  const url = String(module);
  if (!URL.canParse(url)) {
    throw new TypeError(
      `module must be the URL of a module (import.meta.url, or import.meta.resolve('./work.ts')), got ${shown(module)}`,
    );
  }
  if (typeof name !== 'string') throw new TypeError(`name must be the name of an export, got ${shown(name)}`);
  return Object.freeze({ module: url, name });
}
