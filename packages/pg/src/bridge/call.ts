import { Bridge, type CancelledError, currentScope, detached } from '@aiokit/core';
import type { Callback } from '../pg-internals.ts';

/** A call that a callback may be told of instead of an awaiter. */
export abstract class PgCall<T> extends Bridge<T> {
  private callback: Callback<T> | null = null;

  /** For a call with a callback: it waits from now on. */
  tell(callback: Callback<T>): void {
    this.callback = callback;
    this.waitFromNow();
  }

  protected succeed(value: T): void {
    this.setResult(value);
    this.answer(null, value);
  }

  /**
   * An error comes from the socket, and its stack ends there. As pg does, it is given the stack of the code that awaits it:
   * inside of a reaction that leads to the awaiter, the engine can see that far.
   */
  protected fail(error: Error): void {
    const awaiter = this._waiters;
    if (awaiter === null || this.callback !== null) {
      this.setException(error);
      this.answer(error);
      return;
    }
    const tell = () => {
      Error.captureStackTrace(error);
      this.setException(error);
    };
    Promise.reject(error)
      .catch(tell)
      .then(awaiter.resolve as () => void, awaiter.reject);
  }

  protected confirmCancel(error: CancelledError): void {
    this.setCancelled(error);
    this.answer(error);
  }

  /** Wherever the answer comes from, the caller's code does not run in somebody else's task. */
  private answer(error: Error | null, value?: T): void {
    const { callback } = this;
    if (callback === null) return;
    if (currentScope() === null) callback(error, value);
    else detached(() => callback(error, value));
  }
}
