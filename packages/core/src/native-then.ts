/** When `await` itself calls `then`: what it hands over, and what it gets back. */
import type { Future } from './future.ts';

const sourceOf = Function.prototype.toString;

/**
 * Whether the engine's own resolving function was given, as `await` does. They may be called at any time and from any
 * context; a user's callback must run in a later microtask and in its own. (A bound function prints the same, but is named.)
 */
export function isNativeResolver(fn: unknown): fn is (value: unknown) => void {
  return typeof fn === 'function' && fn.name === '' && sourceOf.call(fn) === 'function () { [native code] }';
}

/** What `then` gives back when the engine called it: nobody looks at it, but `.then(resolve, reject).then(…)` must work. */
export class Passed {
  private readonly future: Future<unknown>;
  constructor(future: Future<unknown>) {
    this.future = future;
  }
  then<A>(onFulfilled?: ((value: void) => A) | null, onRejected?: ((reason: unknown) => A) | null): Promise<unknown> {
    return this.settled().then(onFulfilled, onRejected);
  }
  catch(onRejected?: ((reason: unknown) => unknown) | null): Promise<unknown> {
    return this.settled().catch(onRejected);
  }
  finally(onFinally?: (() => void) | null): Promise<unknown> {
    return this.settled().finally(onFinally);
  }
  private settled(): Promise<void> {
    const done = () => {};
    return this.future._promise().then(done, done);
  }
}
