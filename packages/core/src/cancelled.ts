/**
 * Recognising a cancel in whatever reached a `catch`.
 *
 * ORMs rethrow every error as their own with `cause` (Drizzle), `driverError` (TypeORM) or `originalError`, undici's fetch as
 * `TypeError` with `cause`, `Promise.any` as AggregateError. A cancel that comes back wrapped is still that cancel.
 */
import { type CancelledError, isCancelledError, TimeoutError } from './errors.ts';
import { currentScope, type Scope, wasSent } from './scope.ts';

const MAX_DEPTH = 8;

/**
 * The cancel that the error is or carries, or null.
 *
 * A CancelledError counts by itself; a wrapper only if it carries one that was sent to this scope.
 */
export function cancelIn(error: unknown, scope: Scope | null): CancelledError | null {
  if (isCancelledError(error)) return error;
  if (typeof error !== 'object' || error === null) return null;
  if (isPlainAggregate(error)) {
    const [first] = error.errors;
    return error.errors.length > 0 && error.errors.every((e) => isCancelledError(e)) ? first : null;
  }
  let inner: unknown = error;
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    if (inner instanceof TimeoutError) return null; // Its cause is the timeout's own cancel, which has ended there.
    const { cause, driverError, originalError } = inner as Wrapper;
    inner = cause ?? driverError ?? originalError;
    if (typeof inner !== 'object' || inner === null) return null;
    if (isCancelledError(inner)) return scope === null || wasSent(scope, inner) ? inner : null;
  }
  return null;
}

/**
 * Whether the error is a cancel, bare or wrapped: for `catch`, which cannot exclude one.
 *
 * @example
 * ```ts
 * try {
 *   await save();
 * } catch (error) {
 *   if (isCancelled(error)) throw error;
 *   report(error);
 * }
 * ```
 */
export function isCancelled(error: unknown): boolean {
  return cancelIn(error, currentScope()) !== null;
}

/** Throws the error again if it is a cancel, bare or wrapped. The first line of a `catch` that handles other errors. */
export function rethrowCancelled(error: unknown): void {
  const cancel = cancelIn(error, currentScope());
  if (cancel !== null) throw cancel;
}

interface Wrapper {
  cause?: unknown;
  driverError?: unknown;
  originalError?: unknown;
}

function isPlainAggregate(error: object): error is AggregateError {
  return (error as Error).name === 'AggregateError' && Array.isArray((error as AggregateError).errors);
}
