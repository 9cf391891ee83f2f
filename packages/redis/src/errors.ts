import { CancelledError } from '@aiokit/core';

export interface RedisCancelDetails {
  readonly sent: boolean;
  readonly maybeLost?: boolean;
  readonly outcome?: Promise<unknown> | null;
  readonly cause?: unknown;
}

/**
 * The CancelledError of a pipeline, a transaction or a blocking command: it also says what became of them.
 *
 * @example
 * ```ts
 * try {
 *   await redis.multi().incr('a').incr('b').exec();
 * } catch (error) {
 *   if (error instanceof RedisCancelledError && !error.sent) console.log('nothing has happened');
 *   throw error;
 * }
 * ```
 */
export class RedisCancelledError extends CancelledError {
  /** Whether it had left for the server. If not, none of it has happened and none of it will. */
  readonly sent: boolean;
  /**
   * Whether an element may have been taken from the server and lost: the blocking command could not be ended on the server
   * (no permission for CLIENT UNBLOCK, no answer in time, a broken connection), so its connection was closed.
   */
  readonly maybeLost: boolean;
  /** For a pipeline or transaction that was sent: what `exec()` would have given. It never rejects unheard. */
  readonly outcome: Promise<unknown> | null;

  constructor(request: CancelledError, details: RedisCancelDetails) {
    super(request.reason, { source: request.source, cause: details.cause });
    this.sent = details.sent;
    this.maybeLost = details.maybeLost ?? false;
    this.outcome = details.outcome ?? null;
    if (this.maybeLost) this.message = [this.message, MAYBE_LOST].filter(Boolean).join('. ');
  }
}

const MAYBE_LOST =
  'The blocking command could not be ended on the server, so its connection was closed: an element may be lost';

/** The connection of a blocking command or transaction was closed while it was waiting. */
export class ConnectionClosedError extends Error {
  override readonly name = 'ConnectionClosedError';
  readonly code = 'ERR_CONNECTION_CLOSED';
}

/** A lock or a semaphore's slot was lost while it was held: everything in the body was cancelled. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
  readonly code = 'ERR_LOCK_LOST';
  /** The name of the lock. */
  readonly lock: string;

  constructor(lock: string, why: string) {
    super(`The lock ${JSON.stringify(lock)} was lost: ${why}`);
    this.lock = lock;
  }
}

/** A lock or a semaphore's slot did not become free within `wait` ms. */
export class LockTimeoutError extends Error {
  override readonly name = 'LockTimeoutError';
  readonly code = 'ERR_LOCK_TIMEOUT';
  readonly lock: string;

  constructor(lock: string, wait: number) {
    super(`The lock ${JSON.stringify(lock)} did not become free within ${wait} ms`);
    this.lock = lock;
  }
}

/** The watched keys of a transaction changed at every try. */
export class TransactionConflictError extends Error {
  override readonly name = 'TransactionConflictError';
  readonly code = 'ERR_TRANSACTION_CONFLICT';
}
