/**
 * Every error class of core. Each has a stable `name` and `code`, and is branded by `Symbol.for`, so that `instanceof`
 * holds across two copies of core and across realms (jest runs tests in one of its own).
 */
import { shown } from './check.ts';

/**
 * The task was cancelled. It is thrown at the `await` that the task was waiting in and should be let through; code that
 * must clean up uses `finally`, or `catch` with {@link rethrowCancelled}.
 *
 * `code` is `'ABORT_ERR'`, so code that already ignores aborts ignores it too.
 *
 * @see https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.CancelledError
 */
export class CancelledError extends Error {
  readonly code = 'ABORT_ERR';
  /** What was given to `cancel(reason)`. */
  readonly reason: unknown;
  /** The name of the task that cancelled, or `null` if it was cancelled from outside any task. */
  readonly source: string | null;

  #sent = false;

  constructor(reason?: unknown, options?: { source?: string | null; cause?: unknown }) {
    super(messageOf(reason), options?.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.source = options?.source ?? null;
  }

  /** @internal The error of a real cancel, as opposed to one that somebody's code made up. */
  static _sent(reason: unknown, source: string | null, cause: unknown): CancelledError {
    const error = new CancelledError(reason);
    (error as { source: string | null }).source = source;
    error.#sent = true;
    if (cause !== undefined)
      Object.defineProperty(error, 'cause', { value: cause, writable: true, configurable: true });
    return error;
  }

  /** @internal An adapter's own error for a real cancel, which says more about it. */
  static _confirm(error: CancelledError): void {
    if (#sent in error) error.#sent = true;
  }

  /** @internal Another copy of core's errors get the benefit of the doubt. */
  static _isMadeUp(error: CancelledError): boolean {
    return #sent in error && !error.#sent;
  }
}

/**
 * Time ran out: thrown by `timeout`, `timeoutAt`, `waitFor` and `asCompleted`. It is not a {@link CancelledError}: a
 * deadline of one's own is an ordinary failure.
 *
 * @see https://docs.python.org/3/library/exceptions.html#TimeoutError
 */
export class TimeoutError extends Error {
  readonly code = 'ETIMEDOUT';
}

/** An operation that the object's state does not allow: a misuse, never the world's fault. */
export class InvalidStateError extends Error {
  readonly code: string = 'ERR_INVALID_STATE';
}

/** `getNowait()` on an empty queue. */
export class QueueEmpty extends Error {
  readonly code = 'ERR_QUEUE_EMPTY';
}

/** `putNowait()` on a full queue. */
export class QueueFull extends Error {
  readonly code = 'ERR_QUEUE_FULL';
}

/** `put()` or `get()` on a queue that was shut down. */
export class QueueShutDown extends Error {
  readonly code = 'ERR_QUEUE_SHUT_DOWN';
}

/** A wait at a barrier that was reset or aborted. */
export class BrokenBarrierError extends Error {
  readonly code = 'ERR_BROKEN_BARRIER';
}

/** Nothing can ever run again and main still waits. The message lists every waiting task. */
export class DeadlockError extends Error {
  readonly code = 'ERR_DEADLOCK';
}

const CANCELLED_BRAND = Symbol.for('aiokit.CancelledError');

/** `error instanceof CancelledError`, for the paths where its price shows. */
export function isCancelledError(error: unknown): error is CancelledError {
  return (
    typeof error === 'object' && error !== null && (error as { [CANCELLED_BRAND]?: true })[CANCELLED_BRAND] === true
  );
}

/** Makes `instanceof cls` hold for every object that carries the brand, whichever copy of core made it. */
export function brand(cls: abstract new (...args: never[]) => object, name: string): void {
  const key = Symbol.for(`aiokit.${name}`);
  Object.defineProperty(cls.prototype, key, { value: true });
  if (cls.prototype instanceof Error) {
    Object.defineProperty(cls.prototype, 'name', { value: name, writable: true, configurable: true });
  }
  Object.defineProperty(cls, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      // A user's subclass inherits this method: for it, the ordinary prototype test decides.
      if (this !== cls) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[key] === true;
    },
  });
}

for (const [name, cls] of Object.entries({
  CancelledError,
  TimeoutError,
  InvalidStateError,
  QueueEmpty,
  QueueFull,
  QueueShutDown,
  BrokenBarrierError,
  DeadlockError,
})) {
  brand(cls, name);
}

function messageOf(reason: unknown): string | undefined {
  if (reason === undefined || reason === null) return undefined;
  if (typeof reason === 'string') return reason;
  if (typeof reason !== 'object') return String(reason);
  const { message } = reason as Error;
  return typeof message === 'string' ? message : shown(reason);
}
