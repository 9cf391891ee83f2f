/**
 * Task: an async function that runs on a loop and can be cancelled.
 *
 * A Task is its own root scope (see scope.ts). It starts two microtasks after it was made, so that `await gather([f])`
 * meets a pending cancel before `f` begins.
 */

import { cancelIn } from './cancelled.ts';
import { checkFunction, checkName, checkOptions, checkSignal, isThenable } from './check.ts';
import { currentLoop } from './current-loop.ts';
import { reportAbandonedWaits, timed } from './debug.ts';
import { brand, CancelledError, type DeadlockError, InvalidStateError } from './errors.ts';
import { CANCELLED, FAILED, Future, makeCancel, PENDING, RESOLVED } from './future.ts';
import type { EventLoop } from './loop.ts';
import { registry } from './registry.ts';
import {
  cancelScope,
  cancelsWithin,
  clearPending,
  deliver,
  liveScope,
  type NestedScope,
  type PendingCancel,
  recount,
  type Scope,
  signalOf,
  takeBackCancel,
} from './scope.ts';
import { append, forEachIn, remove, someIn, type Waiter } from './waiter.ts';

export interface TaskOptions {
  /** For reports and task trees. Default: `Task-1`, `Task-2`, … */
  name?: string | undefined;
  /** Run the first step at once, before `createTask` returns; a task whose function gives no promise is done then. Default: false. */
  eager?: boolean | undefined;
  /** A signal whose abort cancels the task, with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Told of every task that is made inside this one, and inside those (not of `detached` ones): for an owner who ends with
   * this task whatever it has started, as a server does with a request.
   */
  onTask?: ((task: Task<unknown>) => void) | undefined;
}

/**
 * Runs `fn` as a task. It starts soon, not at once; awaiting the task gives what `fn` returns.
 *
 * A failure that nobody awaits is reported through the loop's exception handler, with the task's name.
 *
 * @param fn what to run: a function, not a promise (a promise is already running, outside the task).
 * @throws `TypeError` if `fn` is not a function.
 *
 * @example
 * ```ts
 * const task = createTask(async () => {
 *   await sleep(10);
 *   return 42;
 * });
 * console.log(await task); // => 42
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
 */
export function createTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
  const scope = registry.context.getStore();
  return new Task(fn, options, scope === undefined ? currentLoop() : scope.loop, scope);
}

/** The task whose code runs, or `null` outside of any: in a callback, or at the top level of a script. */
export function currentTask(): Task<unknown> | null {
  const task = registry.context.getStore()?.task;
  return task !== undefined && task !== null && task._state === PENDING ? task : null;
}

/** Every task of the current loop that is not done. */
export function allTasks(loop: EventLoop = currentLoop()): Set<Task<unknown>> {
  const tasks = new Set<Task<unknown>>();
  forEachIn(loop._tasks, (task) => tasks.add(task));
  return tasks;
}

/** @see https://docs.python.org/3/library/asyncio-task.html#asyncio.Task */
export class Task<T> extends Future<T> implements Scope {
  /** How often it has waited where a cancel could land. For tests; only grows. */
  checkpoints = 0;
  /** @internal The waits of its root scope; who waits for the task itself is in `_waiters`. */ waiters: Waiter | null =
    null;
  /** @internal */ children: NestedScope | null = null;
  /** @internal */ pending: PendingCancel | null = null;
  /** @internal */ cancels = 0;
  /** @internal */ unwinding = 0;
  /** @internal */ sent: CancelledError[] | null = null;
  /** @internal */ controller: AbortController | null = null;
  /** @internal The loop's list of tasks. */ next: Task<unknown> = this;
  /** @internal */ previous: Task<unknown> = this;
  /** @internal Who is told of the tasks made inside. */ readonly _onTask: ((task: Task<unknown>) => void) | null;
  /** @internal */ _shielded = false;
  private readonly label: string | number;
  private fn: (() => unknown) | null;
  /** The promise of the running function, so that the engine sees who awaits it (async stack traces). */
  private running: Promise<unknown> | null = null;
  /** While it ends: the running promise wakes who awaits it. */
  private passesOn = false;
  /** The scope of the awaiting task that passed the last cancel on to this one. */
  private cancelledFor: Scope | null = null;

  constructor(
    fn: () => unknown,
    options: TaskOptions | undefined,
    loop: EventLoop,
    maker = registry.context.getStore(),
  ) {
    checkFunction(fn, 'fn');
    checkOptions(options, 'options');
    checkName(options?.name);
    super(loop);
    this.fn = fn;
    this.label = options?.name ?? ++registry.serial;
    loop._tasks = append(loop._tasks, this as Task<unknown>);
    if (options?.signal !== undefined) this.obey(options.signal);
    const told = maker?.task?._onTask ?? null;
    this._onTask = options?.onTask ?? told;
    told?.(this as Task<unknown>);
    if (options?.eager === true) registry.context.run(this, () => this.begin(callAtOnce));
    else loop._startSoon(this as Task<unknown>);
  }

  get name(): string {
    return typeof this.label === 'string' ? this.label : `Task-${this.label}`;
  }

  get loop(): EventLoop {
    return this._loop;
  }

  get task(): Task<unknown> {
    return this as Task<unknown>;
  }

  /** @internal A root scope. */
  get parent(): null {
    return null;
  }

  /** @internal A wait that its function left behind still belongs to it. */
  get open(): true {
    return true;
  }

  /**
   * Asks the task to end: every `await` it is waiting in rejects with a {@link CancelledError}, and what it waits for is
   * cancelled with it unless somebody else waits for that, too. If it waits in nothing that can be cancelled, its next
   * wait does. A task that has not begun never begins. The task may catch the error and go on; then it was not cancelled.
   *
   * @param reason anything; a string (or an error's message) becomes the CancelledError's message.
   * @returns `false` if the task was done already.
   *
   * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancel
   */
  override cancel(reason?: unknown): boolean {
    return this._cancel(makeCancel(reason), null);
  }

  /** Whether `shield` was ever put around it: an owner that ends its tasks should let it finish. */
  shielded(): boolean {
    return this._shielded;
  }

  /** How many cancels were asked for and not taken back. */
  cancelling(): number {
    return this._state === PENDING ? cancelsWithin(this) : this.cancels;
  }

  /** Takes one cancel back and returns how many are left. At 0 a cancel that was not delivered yet is forgotten. */
  uncancel(): number {
    takeBackCancel(this);
    const left = this.cancelling();
    if (left === 0) clearPending(this);
    return left;
  }

  /** Aborts when the task is cancelled, with the CancelledError as reason. It belongs to one cancel: read it anew after. */
  get signal(): AbortSignal {
    return signalOf(this);
  }

  /** @throws {@link InvalidStateError}: a task's result is what its function returns. */
  override setResult(_value: T): never {
    throw new InvalidStateError(`setResult() on task ${this.name}: a task's result is what its function returns`);
  }

  /** @throws {@link InvalidStateError}: a task's exception is what its function throws. */
  override setException(_error: unknown): never {
    throw new InvalidStateError(`setException() on task ${this.name}: a task's exception is what its function throws`);
  }

  override get [Symbol.toStringTag](): string {
    return 'Task';
  }

  override describe(): string {
    return `Task ${this.name} ${['pending', 'done', 'failed', 'cancelled'][this._state]}`;
  }

  /**
   * @internal Begins, in a microtask of its own. The ambient value ends with that, so nothing has to be put back: `run` would
   * copy Node's map of values once more for it, a sixth of what a task costs.
   */
  _start(): void {
    registry.context.enterWith(this);
    this.begin(call);
  }

  private begin(invoke: typeof call | typeof callAtOnce): void {
    const { fn } = this;
    this.fn = null;
    if (fn === null || this._state !== PENDING) return;
    if (this.pending !== null) {
      this.finish(CANCELLED, this.pending.error);
      return;
    }
    const { debug } = this._loop;
    this.running = debug
      ? timed(
          this._loop,
          () => `Task ${this.name}`,
          () => invoke(fn),
        )
      : invoke(fn);
    if (this._waiters !== null) forEachIn(this._waiters, (waiter) => this.showAwaiter(waiter));
  }

  /** @internal */
  override _cancel(error: CancelledError, from: Scope | null): boolean {
    if (this._state !== PENDING) return false;
    this.cancelledFor = from;
    cancelScope(this, error);
    return true;
  }

  /** @internal Who awaits it gets the error; the function itself is cancelled, so that its cleanup runs. */
  _failDeadlocked(error: DeadlockError): void {
    deliver(this, makeCancel(error));
    this.finish(FAILED, error);
  }

  /**
   * @internal An awaiter hangs on the running promise, so that the engine's async stack traces show it. Then that promise is
   * what wakes it, too: resolving it twice would cost Node 24 and older a report each (`multipleResolves`).
   */
  override _enlist(waiter: Waiter): void {
    super._enlist(waiter);
    if (this._state === PENDING && this.running !== null) this.showAwaiter(waiter);
  }

  private showAwaiter(waiter: Waiter): void {
    this.running?.then(waiter.resolve as never, waiter.reject);
  }

  /** @internal */
  override _closesCircle(scope: Scope): boolean {
    return this.cancels > 0 && scope.task !== null && waitsFor(this, scope.task, new Set());
  }

  /** @internal */
  override _recount(error: CancelledError, passed: Set<Scope>): boolean {
    return this._state === PENDING && this.sent !== null && this.sent.includes(error) && recount(this, error, passed);
  }

  /** @internal Returns what its running promise gives to those who hang on it. */
  _end(value: unknown): unknown {
    if (this.pending !== null) {
      // A cancel that no wait followed: from the task itself it ends it, from outside it comes too late.
      if (this.pending.own) return this.finish(CANCELLED, this.pending.error);
      this.returnCancel();
    }
    if (this._waiters === null || this.running === null) return this.finish(RESOLVED, value);
    const passesOn = this._loop._mayPassOn();
    this.passesOn = passesOn;
    this.finish(RESOLVED, value);
    this.passesOn = false;
    // Waiters whose wake-up is put off must not be woken by the running promise instead.
    return passesOn ? value : this._loop._endOfTurn();
  }

  /** @internal */
  override _wake(waiter: Waiter): void {
    if (!this.passesOn) super._wake(waiter);
  }

  /** @internal */
  _fail(error: unknown): void {
    const cancel = cancelIn(error, this);
    if (cancel === null) this.returnCancel();
    else if (CancelledError._isMadeUp(cancel)) warnMadeUp(this.name, cancel);
    this.finish(cancel === null ? FAILED : CANCELLED, cancel ?? error);
  }

  /** A cancel passed along a chain is never dropped: undelivered here, it goes back to who passed it on. */
  private returnCancel(): void {
    if (this.pending === null || this.cancelledFor === null) return;
    const { error } = this.pending;
    const scope = liveScope(this.cancelledFor);
    if (scope === null || (scope.task !== null && scope.task._state !== PENDING)) return;
    scope.pending ??= { error, own: false, onTaken: null, sticky: false };
  }

  private finish(state: typeof RESOLVED | typeof FAILED | typeof CANCELLED, value: unknown): void {
    if (this._state !== PENDING) return;
    this._loop._tasks = remove(this._loop._tasks, this as Task<unknown>);
    this.pending = null;
    this.cancelledFor = null;
    this._finish(state, value);
    if (state === CANCELLED) this.cancelBranches(value as CancelledError);
    else if (this._loop.debug) reportAbandonedWaits(this as Task<unknown>);
  }

  /** Waits that the function left behind, in a branch of a `Promise.all` say, end with their cancelled task. */
  private cancelBranches(error: CancelledError): void {
    if (this.waiters !== null || this.children !== null) deliver(this, error);
  }

  private obey(signal: AbortSignal): void {
    checkSignal(signal, 'options.signal');
    const abort = () => void this.cancel(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    this._watch(() => signal.removeEventListener('abort', abort), null);
  }
}

brand(Task, 'Task');
// `await` looks `then` up the slow way: this saves it a prototype.
(Task.prototype as { then: unknown }).then = Future.prototype.then;

/** Whether the one task waits for the other: by an await, or through a group, a gather or the like. */
function waitsFor(who: Task<unknown>, task: Task<unknown>, seen: Set<Task<unknown>>): boolean {
  if (seen.has(task)) return false;
  seen.add(task);
  const isWho = (owner: Task<unknown> | null | undefined): boolean =>
    owner !== null && owner !== undefined && (owner === who || waitsFor(who, owner, seen));
  return (
    someIn(task._waiters, (waiter) => isWho(waiter.scope?.task)) ||
    someIn(task._watchers, ({ joiner }) => joiner !== null && !joiner.done() && isWho(joiner.owner))
  );
}

/**
 * Calls the function, in its task's context, and sees to its end: what it throws before its first `await` is a rejection like
 * any other. The handlers find their task in the context; two closures per task would cost more.
 */
function call(fn: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(fn()).then(onResolved, onRejected);
  } catch (error) {
    return Promise.reject(error).then(onResolved, onRejected);
  }
}

/** The same for an eager task: one that is over with its first step is done before `createTask` returns. */
function callAtOnce(fn: () => unknown): Promise<unknown> | null {
  let value: unknown;
  try {
    value = fn();
    if (isThenable(value)) return Promise.resolve(value).then(onResolved, onRejected);
  } catch (error) {
    onRejected(error);
    return null;
  }
  onResolved(value);
  return null;
}

const onResolved = (value: unknown): unknown => (registry.context.getStore() as Task<unknown>)._end(value);
const onRejected = (error: unknown): void => (registry.context.getStore() as Task<unknown>)._fail(error);

/** Errors do not pass in silence, not even those that look like a cancel. */
function warnMadeUp(name: string, { message, source }: CancelledError): void {
  const from = source === null ? '' : ` (its source says ${source})`;
  process.emitWarning(
    `Task ${name} ended with a CancelledError that nobody sent: "${message}"${from}`,
    'AiokitWarning',
  );
}
