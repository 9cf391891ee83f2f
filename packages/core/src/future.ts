/**
 * Future: a result that is not there yet, and the point where a cancel lands.
 *
 * A thenable class instead of a Promise subclass: awaiting one costs 180 ns instead of 400. `Promise.prototype` is in its
 * chain, so `instanceof Promise` holds. There is no promise per wait: the native `resolve` and `reject` that `await` hands
 * to `then` are kept as they are, and a cancel rejects one waiter by calling its own `reject` (a later settlement is then
 * ignored by the engine).
 *
 * Members that begin with an underscore are the protocol between copies of core, not for users.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { shown } from './check.ts';
import { currentLoop } from './current-loop.ts';
import { timedResume } from './debug.ts';
import { brand, CancelledError, InvalidStateError, isCancelledError } from './errors.ts';
import { Fifo } from './fifo.ts';
import { guardFloatingCancels } from './floating.ts';
import type { EventLoop } from './loop.ts';
import { isNativeResolver, Passed } from './native-then.ts';
import { registry } from './registry.ts';
import { currentScope, isInside, type Scope, takePending } from './scope.ts';
import type { Task } from './task.ts';
import { append, forEachIn, type Joiner, remove, someIn, Waiter, Watcher } from './waiter.ts';

/** @internal */
export const PENDING = 0;
/** @internal */
export const RESOLVED = 1;
/** @internal */
export const FAILED = 2;
/** @internal */
export const CANCELLED = 3;
type State = typeof PENDING | typeof RESOLVED | typeof FAILED | typeof CANCELLED;

/**
 * A result that somebody will set, with asyncio's methods and those of a Promise.
 *
 * Awaiting it is a cancellation point: a cancel of the awaiting task cancels the Future too if that task is its only
 * waiter; otherwise it rejects this one `await` and leaves the Future to the others.
 *
 * @example
 * ```ts
 * const future = new Future<number>();
 * setTimeout(() => future.setResult(42), 10);
 * console.log(await future); // => 42
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-future.html#asyncio.Future
 */
export class Future<T> implements Promise<T> {
  /** @internal */ _state: State = PENDING;
  /** @internal The value, or the error. */ _value: unknown = undefined;
  /** @internal */ _waiters: Waiter | null = null;
  /** @internal */ _watchers: Watcher | null = null;
  /** @internal Somebody took the result, so that a failure needs no report. */ _taken = false;
  /** @internal */ readonly _loop: EventLoop;
  /** @internal Debug mode: where it was made. */ declare _site?: Error;

  constructor(loop?: EventLoop) {
    if (typeof loop === 'function') throw notAPromise(loop);
    this._loop = loop ?? currentLoop();
    if (this._loop.debug) this._site = new Error('made here');
  }

  /** Whether it has a result, an exception, or was cancelled. */
  done(): boolean {
    return this._state !== PENDING;
  }

  /** Whether it was cancelled. */
  cancelled(): boolean {
    return this._state === CANCELLED;
  }

  /**
   * The result, if there is one.
   *
   * @throws the exception, if it failed; {@link CancelledError}, if it was cancelled; {@link InvalidStateError}, if it is
   * not done.
   */
  result(): T {
    this._requireDone('result');
    this._take();
    if (this._state !== RESOLVED) throw this._value;
    return this._value as T;
  }

  /**
   * The exception, or `null` if there is a result.
   *
   * @throws {@link CancelledError} if it was cancelled; {@link InvalidStateError} if it is not done.
   */
  exception(): unknown {
    this._requireDone('exception');
    this._take();
    if (this._state === CANCELLED) throw this._value;
    return this._state === FAILED ? this._value : null;
  }

  /**
   * Sets the result and wakes who waits.
   *
   * @throws {@link InvalidStateError} if it is done.
   */
  setResult(value: T): void {
    if (!this._finish(RESOLVED, value)) throw this._alreadyDone('setResult');
  }

  /**
   * Sets the exception and wakes who waits. If nobody ever takes it, the loop's exception handler is told.
   *
   * @throws {@link InvalidStateError} if it is done; `TypeError` if there is no error to set.
   */
  setException(error: unknown): void {
    if (error === undefined || error === null) throw new TypeError(`error must be an error, got ${shown(error)}`);
    if (!this._finish(FAILED, error)) throw this._alreadyDone('setException');
  }

  /**
   * Cancels it: who waits gets a {@link CancelledError}.
   *
   * @param reason anything; a string (or an error's message) becomes the message.
   * @returns `false` if it was done already.
   */
  cancel(reason?: unknown): boolean {
    return this._cancel(makeCancel(reason), null);
  }

  /** Calls back, in a turn of the loop's and with no current task, when it is done (soon, if it is already). */
  addDoneCallback(callback: (future: this) => void): void {
    if (typeof callback !== 'function') throw new TypeError(`callback must be a function, got ${shown(callback)}`);
    const call = inContextOfCaller(() => this._loop._call(callback, [this]));
    this._watch(() => queueMicrotask(call), null, callback);
  }

  /** Takes every registration of the callback back and returns how many there were. */
  removeDoneCallback(callback: (future: this) => void): number {
    const found: Watcher[] = [];
    forEachIn(this._watchers, (watcher) => {
      if (watcher.key === callback) found.push(watcher);
    });
    for (const watcher of found) this._unwatch(watcher);
    return found.length;
  }

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (isNativeResolver(onFulfilled) && typeof onRejected === 'function') {
      this._await(onFulfilled, onRejected as (error: unknown) => void);
      return new Passed(this) as never;
    }
    // The handlers first: a promise that is rejected before it has one costs Node much bookkeeping.
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const derived = promise.then(onFulfilled, onRejected);
    this._await(resolve, reject);
    return derived;
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const derived = promise.finally(onFinally);
    this._await(resolve, reject);
    return derived;
  }

  get [Symbol.toStringTag](): string {
    return 'Future';
  }

  /** One line about its state, for messages and task trees. */
  describe(): string {
    return `${this[Symbol.toStringTag]} ${['pending', 'done', 'failed', 'cancelled'][this._state]}`;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `<${this.describe()}>`;
  }

  /** @internal Registers a wait of the current scope. `resolve` and `reject` settle something at most once. */
  _await(resolve: (value: never) => void, reject: (error: unknown) => void): void {
    if (this._state === RESOLVED) {
      this._taken = true;
      resolve(this._value as never);
      return;
    }
    const scope = currentScope();
    const waiter = new Waiter(this, resolve, reject);
    if (scope === null) return this._enlist(waiter);
    if (scope.loop.debug) waiter.site = new Error('waits here');
    const { task } = scope;
    if (task !== null && task._state !== PENDING) {
      // The task has ended and left this branch behind. If it was cancelled, so is the branch.
      if (task._state === CANCELLED) this._meet(waiter, task._value as CancelledError, scope);
      else this._enlist(waiter);
      return;
    }
    if ((this as Future<unknown>) === task) return reject(awaitsItself(task));
    if (this._state === PENDING) {
      if (task !== null) task.checkpoints++;
      const taken = takePending(scope);
      if (taken !== null) {
        if (this._isAwaitedOutside(taken.scope)) {
          waiter.joinScope(scope);
          return this._reject(waiter, taken.error);
        }
        if (!this._cancel(taken.error, scope)) taken.scope.pending = taken.pending;
      }
    }
    waiter.joinScope(scope);
    waiter.since = scope.loop._roughTime();
    this._enlist(waiter);
  }

  /** @internal Ends it. Returns false if it was done. */
  _finish(state: State, value: unknown): boolean {
    if (this._state !== PENDING) return false;
    this._state = state;
    this._value = value;
    const waiters = this._waiters;
    if (waiters !== null) {
      this._waiters = null;
      if (waiters.next === waiters) this._settle(waiters);
      else forEachIn(waiters, (waiter) => this._settle(waiter));
    }
    const watchers = this._watchers;
    if (watchers !== null) {
      this._watchers = null;
      if (watchers.next === watchers) watchers.callback(this as Future<unknown>);
      else forEachIn(watchers, (watcher) => watcher.callback(this as Future<unknown>));
    }
    if (state === FAILED && !this._taken) this._loop._failures.add(this);
    return true;
  }

  /**
   * @internal Cancels it on behalf of `from`, a scope that awaits it (or of nobody). Returns false if it is done.
   * Subclasses whose work goes on until the outside world confirms override this.
   */
  _cancel(error: CancelledError, _from: Scope | null): boolean {
    return this._finish(CANCELLED, error);
  }

  /** @internal A cancel that it was sent already came another way, too. Returns whether the first is still on its way. */
  _recount(_error: CancelledError, _passed: Set<Scope>): boolean {
    return false;
  }

  /** @internal Rejects one waiter and leaves the Future to the others. */
  _release(waiter: Waiter, error: CancelledError): void {
    this._waiters = remove(this._waiters, waiter);
    this._reject(waiter, error);
  }

  /** @internal Whether anybody outside the scope waits for this, too: then a cancel of the scope must spare it. */
  _isAwaitedOutside(scope: Scope): boolean {
    const waiter = this._waiters;
    const alone = waiter === null || (waiter.next === waiter && waiter.scope === scope);
    if (alone && this._watchers === null) return false;
    return (
      someIn(this._waiters, (waiter) => !isInside(waiter.scope, scope)) ||
      someIn(this._watchers, ({ joiner }) => joiner !== null && joiner.owner !== scope.task && !joiner.done())
    );
  }

  /** @internal Whether it is a task that is being cancelled and waits, itself or through others, for the task of `scope`. */
  _closesCircle(_scope: Scope): boolean {
    return false;
  }

  /** @internal Calls back in the same turn as it ends, on behalf of a joiner that counts as a waiter. */
  _watch(callback: (future: Future<unknown>) => void, joiner: Joiner | null, key: unknown = null): Watcher {
    const watcher = new Watcher(callback, joiner, key);
    if (this._state !== PENDING) callback(this as Future<unknown>);
    else this._watchers = append(this._watchers, watcher);
    return watcher;
  }

  /** @internal */
  _unwatch(watcher: Watcher): void {
    this._watchers = remove(this._watchers, watcher);
  }

  /** @internal */
  _take(): void {
    if (this._taken) return;
    this._taken = true;
    if (this._state === FAILED) this._loop._failures.delete(this);
  }

  /** @internal A native promise for this result. */
  _promise(): Promise<T> {
    return new Promise((resolve, reject) => this._await(resolve, reject));
  }

  /** @internal A Task overrides this to keep the awaiting stack visible to the engine. */
  _enlist(waiter: Waiter): void {
    if (this._state === PENDING) this._waiters = append(this._waiters, waiter);
    else this._settle(waiter);
  }

  /** @internal */
  _wake(waiter: Waiter): void {
    this._loop._wake(waiter, this._value as never);
  }

  private _settle(waiter: Waiter): void {
    this._take();
    if (this._state === RESOLVED) {
      this._wake(waiter);
      waiter.leaveScope();
    } else {
      this._reject(waiter, this._value);
    }
  }

  private _reject(waiter: Waiter, error: unknown): void {
    const { scope } = waiter;
    waiter.leaveScope();
    if (scope?.loop.debug) timedResume(scope.loop, scope.task, () => waiter.reject(error));
    else waiter.reject(error);
    if (scope === null || !isCancelledError(error)) return;
    scope.unwinding++;
    resuming.push(scope);
    NOW.then(resumed);
  }

  private _meet(waiter: Waiter, error: CancelledError, scope: Scope): void {
    if (!this._isAwaitedOutside(scope)) this._cancel(error, null);
    if (this._state === PENDING) waiter.reject(error);
    else this._settle(waiter);
  }

  private _requireDone(method: string): void {
    if (this._state === PENDING) throw new InvalidStateError(`${method}() of a ${this.describe()}: it is not done yet`);
  }

  private _alreadyDone(method: string): InvalidStateError {
    return new InvalidStateError(`${method}() on a ${this.describe()}: it is done already`);
  }
}

brand(Future, 'Future');
// `instanceof Promise` holds without the cost of a subclass; every method of Promise.prototype is overridden above.
Object.setPrototypeOf(Future.prototype, Promise.prototype);

/**
 * Scopes with a waiter that was rejected with a cancel. Its continuation runs in the next microtask, `resumed` in the one
 * after it: until then further cancels are part of the first.
 */
const resuming = new Fifo<Scope>();
const NOW = Promise.resolve();

function resumed(): void {
  (resuming.shift() as Scope).unwinding--;
}

/** The error of a cancel, made once per `cancel()` and delivered to all that it reaches. Without a stack: it would show the canceller's. */
export function makeCancel(reason: unknown, cause?: unknown): CancelledError {
  if (isCancelledError(reason)) return reason;
  guardFloatingCancels();
  const scope = registry.context.getStore();
  const source = scope?.task?.name ?? null;
  if (scope?.loop.debug) return CancelledError._sent(reason, source, cause);
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return CancelledError._sent(reason, source, cause);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Callbacks run in the AsyncLocalStorage context of the code that registered them, as asyncio's contextvars do. */
export function inContextOfCaller<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
  const run = AsyncLocalStorage.snapshot();
  return (...args) => run(callback, ...args);
}

function notAPromise(executor: unknown): TypeError {
  return new TypeError(
    `loop must be an EventLoop, got ${shown(executor)}. A Future takes no function, unlike new Promise(…): whoever has ` +
      'the result calls setResult(value) or setException(error)',
  );
}

function awaitsItself(task: Task<unknown>): InvalidStateError {
  return new InvalidStateError(`${task.name} awaits itself and could never end. Await it from another task`);
}
