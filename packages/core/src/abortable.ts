import { Bridge } from './bridge.ts';
import { checkFunction } from './check.ts';
import type { CancelledError } from './errors.ts';
import type { Future } from './future.ts';

/**
 * Makes any API that takes an AbortSignal a cancellation point: a cancel aborts the signal and waits until the promise
 * settles, so that the work has really ended when the CancelledError comes.
 *
 * If the work succeeds in spite of the abort, its value is delivered and the cancel stays pending for the next `await`.
 *
 * @param fn called at once with the signal; returns the promise of the work.
 *
 * @example
 * ```ts
 * const response = await abortable((signal) => fetch(url, { signal }));
 * ```
 */
export function abortable<R>(fn: (signal: AbortSignal) => R): Future<Awaited<R>> {
  checkFunction(fn, 'fn');
  return new Abortable(fn);
}

class Abortable<R> extends Bridge<Awaited<R>> {
  private readonly controller = new AbortController();

  constructor(fn: (signal: AbortSignal) => R) {
    super();
    call(fn, this.controller.signal).then(
      (value) => this.setResult(value),
      (error) => {
        if (this.cancelRequest !== null && this.isAbort(error)) this.setCancelled();
        else this.setException(error ?? new Error(`rejected with ${error}`));
      },
    );
  }

  protected override onCancel(error: CancelledError): void {
    this.controller.abort(error);
  }

  /** The work ended because of the abort: by its reason, bare or wrapped, or by an AbortError of its own. */
  private isAbort(error: unknown): boolean {
    for (let e = error, depth = 0; typeof e === 'object' && e !== null && depth < 8; depth++) {
      const { name, code, cause } = e as { name?: unknown; code?: unknown; cause?: unknown };
      if (e === this.cancelRequest || name === 'AbortError' || code === 'ABORT_ERR') return true;
      e = cause;
    }
    return false;
  }
}

async function call<R>(fn: (signal: AbortSignal) => R, signal: AbortSignal): Promise<Awaited<R>> {
  return await fn(signal);
}
