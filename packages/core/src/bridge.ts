/**
 * Bridge: a Future whose work is done by the outside world, which has to be told of a cancel and answers in its own time.
 */
import { CancelledError } from './errors.ts';
import { CANCELLED, Future, PENDING } from './future.ts';
import { currentScope, liveScope, peekPending, type Scope, takePending } from './scope.ts';
import { Waiter } from './waiter.ts';

/**
 * The base of every adapter's call. A subclass starts the work, overrides {@link Bridge.onCancel} to ask the outside world
 * to stop, and ends the Future when the outside world has answered:
 *
 * - `setResult(value)` or `setException(error)`: it has taken effect. After a cancel request the value is delivered all the
 *   same and the cancel stays pending for the next `await`: nothing is lost.
 * - `setCancelled()`: the cancel took effect.
 *
 * @example
 * ```ts
 * class Call extends Bridge<string> {
 *   protected override onCancel(): void {
 *     peer.stop(this.id); // the peer's answer ends it: setCancelled() or setResult(value)
 *   }
 * }
 * ```
 */
export abstract class Bridge<T> extends Future<T> {
  /** The cancel that was asked for and is not confirmed; `null` if there is none. */
  protected cancelRequest: CancelledError | null = null;
  private requestedBy: Scope | null = null;

  /**
   * Whether a cancel could reach a call made here: inside a task, or inside a timeout, group or `withSignal` outside of
   * one. Where it could not, an adapter takes its base library's own path.
   */
  static isNeeded(): boolean {
    return currentScope() !== null;
  }

  /** Called once, when a cancel is asked for. May end the Future at once. */
  protected abstract onCancel(error: CancelledError): void;

  /**
   * The cancel took effect: whoever waits gets the {@link CancelledError}. Does nothing if it is done.
   *
   * @param error one that says more about it, of a subclass say.
   */
  setCancelled(error: CancelledError | null = this.cancelRequest): void {
    if (error !== null && this.cancelRequest !== null) CancelledError._confirm(error);
    this.cancelRequest = null;
    if (error !== null) this._finish(CANCELLED, error);
  }

  /**
   * Counts the current scope as waiting from now on, without an `await`: for calls that answer through a callback, or
   * through a promise of somebody else's. A cancel that meets it stays visible in `cancelling()` and `throwIfCancelled()`.
   * One that was pending already meets it at the end of this turn, unless an `await` has met that before.
   */
  waitFromNow(): this {
    const scope = currentScope();
    if (this._state !== PENDING || scope === null) return this;
    const waiter = new Waiter(this, ignore, ignore);
    waiter.joinScope(scope);
    this._enlist(waiter);
    if (peekPending(scope) !== null) afterMicrotasks(() => this.meetPending(waiter, scope));
    return this;
  }

  private meetPending(waiter: Waiter, scope: Scope): void {
    if (this._state !== PENDING) return;
    const taken = takePending(scope);
    if (taken === null) return;
    if (this._isAwaitedOutside(taken.scope)) this._release(waiter, taken.error);
    else this._cancel(taken.error, scope);
  }

  /** @internal */
  override _cancel(error: CancelledError, from: Scope | null): boolean {
    if (this._state !== PENDING) return false;
    if (this.cancelRequest !== null) return true; // It has been told; several cancels before the answer are one.
    this.cancelRequest = error;
    this.requestedBy = from;
    this.onCancel(error);
    return true;
  }

  /** @internal */
  override _finish(state: Future<T>['_state'], value: unknown): boolean {
    if (this._state !== PENDING) return false;
    if (this.cancelRequest !== null && state !== CANCELLED) this.returnCancel(this.cancelRequest);
    this.cancelRequest = this.requestedBy = null;
    return super._finish(state, value);
  }

  /** The answer won the race: the cancel goes back to the scope that sent it and waits there for the next wait. */
  private returnCancel(error: CancelledError): void {
    const scope = this.requestedBy === null ? null : liveScope(this.requestedBy);
    if (scope === null || (scope.task !== null && scope.task._state !== PENDING)) return;
    scope.pending ??= { error, own: false, onTaken: null, sticky: false };
  }
}

/** Node runs its ticks when no microtask is left. */
function afterMicrotasks(callback: () => void): void {
  queueMicrotask(() => process.nextTick(callback));
}

function ignore(): void {}
