/**
 * The loop: what asyncio's event loop is to its tasks, on top of Node's own. It owns tasks, hands out turns, and reports
 * what nobody else takes. A default loop always exists; `run()` makes one with a lifetime.
 */
import { Activity, type LoopActivity, type Operation, type OperationOptions } from './activity.ts';
import { checkClock, checkFunction, checkMs, checkOptions, shown } from './check.ts';
import { type Clock, type ClockTimer, RealClock } from './clock.ts';
import { currentLoop } from './current-loop.ts';
import { timed, timedResume } from './debug.ts';
import { Deliveries } from './deliveries.ts';
import { Failures } from './failures.ts';
import { Fairness } from './fairness.ts';
import { Fifo } from './fifo.ts';
import { Future, inContextOfCaller, RESOLVED } from './future.ts';
import { registry } from './registry.ts';
import { NestedScope } from './scope.ts';
import { Task, type TaskOptions } from './task.ts';
import type { Executor } from './threads/executor.ts';
import type { WorkerFn } from './threads/worker-fn.ts';
import type { Waiter } from './waiter.ts';

/** What the exception handler is told. */
export interface ExceptionContext {
  message: string;
  exception?: unknown;
  task?: Task<unknown> | undefined;
  future?: Future<unknown> | undefined;
  loop: EventLoop;
}
export type ExceptionHandler = (context: ExceptionContext) => void;

export interface EventLoopOptions {
  name?: string | undefined;
  clock?: Clock | undefined;
  debug?: boolean | undefined;
}

/**
 * @see https://docs.python.org/3/library/asyncio-eventloop.html
 */
export class EventLoop {
  readonly name: string;
  readonly clock: Clock;
  /** Whether slow steps, undelivered cancels and leftovers are reported, each with the place that made it. */
  debug: boolean;
  /** Debug mode: a step that holds the loop longer than this many ms is reported. */
  slowCallbackDuration = 100;
  readonly activity: LoopActivity;

  /** @internal */ _tasks: Task<unknown> | null = null;
  /** @internal */ readonly _failures: Failures;
  /** @internal The ambient value of callbacks: no task, no cancel, but this loop. */ readonly _context: NestedScope;
  private readonly counter: Activity;
  private readonly startQueue = new Fifo<Task<unknown>>();
  private startHop: Promise<void> | null = null;
  private yields = new Fifo<Future<unknown>>();
  private readonly fairness: Fairness;
  /** Null unless the clock chooses the order of wake-ups. */
  private readonly deliveries: Deliveries | null;
  private handler: ExceptionHandler | null = null;
  private detachClock: (() => void) | undefined;

  constructor(options: EventLoopOptions = {}) {
    checkOptions(options, 'options');
    if (options.clock !== undefined) checkClock(options.clock, 'options.clock');
    this.name = options.name ?? 'loop';
    this.clock = options.clock ?? realClock();
    this.debug = options.debug ?? process.env.AIOKIT_DEBUG === '1';
    this.counter = new Activity(this);
    this.activity = this.counter;
    this.fairness = new Fairness();
    this.deliveries = this.clock.pick === undefined ? null : new Deliveries(this.clock);
    this._failures = new Failures(this);
    this._context = new NestedScope(this, null);
    this._context.close();
    this.detachClock = this.clock.attach?.(this);
    // Node 22 begins to follow contexts at the first value: a task's must not be that one, it would stay (see Task._start).
    registry.context.enterWith(registry.context.getStore());
  }

  /** Monotonic time of the loop's clock, in ms. */
  time(): number {
    return this.clock.now();
  }

  /** Calls back in the next microtask, with no current task. */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    checkFunction(callback, 'callback');
    const handle = new Handle();
    queueMicrotask(() => {
      if (!handle.cancelled()) this._call(callback, args);
    });
    return handle;
  }

  /** Calls back after `ms` milliseconds, with no current task. */
  callLater<A extends unknown[]>(ms: number, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    checkMs(ms, 'ms');
    return this.callAt(this.time() + ms, callback, ...args);
  }

  /** Calls back when `time()` has reached `when`, with no current task. */
  callAt<A extends unknown[]>(when: number, callback: (...args: A) => unknown, ...args: A): TimerHandle {
    checkMs(when, 'when');
    checkFunction(callback, 'callback');
    const call = inContextOfCaller(() => this._call(callback, args));
    return new TimerHandle(when, this.clock.setTimer(when, call));
  }

  createFuture<T>(): Future<T> {
    return new Future<T>(this);
  }

  /** As {@link createTask}, on this loop. */
  createTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
    return new Task(fn, options, this);
  }

  /**
   * Runs `fn(...args)` in a thread or process of the executor; a cancel ends the work for real.
   *
   * @param executor one of `@aiokit/core/threads`; `null` for the pool of `toThread`.
   * @param fn a self-contained function, or a `workerFn`.
   *
   * @see https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor
   */
  runInExecutor<A extends unknown[], R>(
    executor: Executor | null,
    fn: ((...args: A) => R) | WorkerFn<(...args: A) => R>,
    ...args: A
  ): Future<Awaited<R>> {
    if (executor !== null) {
      if (typeof executor?.submit === 'function') return executor.submit(fn, ...args);
      throw new TypeError(`executor must be an executor, or null for the pool of toThread, got ${shown(executor)}`);
    }
    if (typeof fn !== 'object') checkFunction(fn, 'fn');
    // Threads are loaded by those who use them. A task takes a cancel that comes meanwhile to the job.
    const inThread = async () => {
      const loading = this._track('thread', { label: 'load' });
      const { toThread } = await import('./threads/index.ts').finally(() => loading.end());
      return await toThread(fn, ...args);
    };
    return this.createTask(inThread, { name: 'runInExecutor' });
  }

  /** Who is told of exceptions that nobody takes; `null` for the default, which prints them to stderr. */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    if (handler !== null) checkFunction(handler, 'handler');
    this.handler = handler;
  }

  callExceptionHandler(context: Omit<ExceptionContext, 'loop'>): void {
    const full = { ...context, loop: this };
    if (this.handler === null) return printException(full);
    try {
      this.handler(full);
    } catch (error) {
      printException({ message: 'The exception handler itself threw', exception: error, loop: this });
      printException(full);
    }
  }

  toString(): string {
    return `EventLoop(${this.name})`;
  }

  /** @internal Starts a task two microtasks from now, in the AsyncLocalStorage context of its creator. */
  _startSoon(task: Task<unknown>): void {
    this.startQueue.push(task);
    this.startHop ??= NOW.then(this.endHop);
    this.startHop.then(this.startNext);
  }

  /** @internal Wakes a waiter, at once or, when tasks that only wake each other have held the process for long, in a turn. */
  _wake(waiter: Waiter, value: never): void {
    this.counter.epoch++;
    if (this.deliveries !== null) this.deliveries.push(waiter, value);
    else if (!this.fairness.allowsWake()) this.fairness.defer(waiter, value);
    else if (this.debug) timedResume(this, waiter.scope?.task ?? null, () => waiter.resolve(value));
    else waiter.resolve(value);
  }

  /** @internal `time()`, to within a turn: where many wait in one turn, reading the clock for each is a tenth of the cost. */
  _roughTime(): number {
    return this.clock.real ? (this.fairness.seenAt ?? this.clock.now()) : this.clock.now();
  }

  /** @internal Whether a promise may wake a task's awaiters: nothing chooses their order, times them or holds them back. */
  _mayPassOn(): boolean {
    this.counter.epoch++;
    return this.deliveries === null && !this.debug && this.fairness.allowsWake();
  }

  /** @internal Whether the next wake-up may happen at once. */
  _mayWake(): boolean {
    return this.fairness.allowsWake();
  }

  /** @internal The end of this turn, if wake-ups wait for it. */
  _endOfTurn(): Promise<void> | undefined {
    return this.fairness.endOfTurn;
  }

  /** @internal Resolves the future when everything runnable, I/O included, has had its turn. */
  _yield(future: Future<unknown>): void {
    if (this.yields.length === 0) setImmediate(this.endTurn);
    this.yields.push(future);
  }

  /** @internal */
  _track(kind: string, options: OperationOptions | undefined): Operation {
    return this.counter.begin(kind, options);
  }

  /** @internal */
  _runnable(): number {
    return this.startQueue.length + this.yields.length + this.fairness.waiting + (this.deliveries?.waiting ?? 0);
  }

  /** @internal */
  _call<A extends unknown[]>(callback: (...args: A) => unknown, args: A): void {
    this.counter.epoch++;
    try {
      const call = () => registry.context.run(this._context, callback, ...args);
      if (this.debug) timed(this, () => `Callback ${callback.name || '(anonymous)'}`, call);
      else call();
    } catch (error) {
      this.callExceptionHandler({
        message: `Exception in callback ${callback.name || '(anonymous)'}`,
        exception: error,
      });
    }
  }

  /** @internal */
  _close(): void {
    this.detachClock?.();
    this.detachClock = undefined;
    this._failures.reportAll();
  }

  private readonly endHop = (): void => {
    this.startHop = null;
  };

  private readonly startNext = (): void => {
    this.counter.epoch++;
    this.startQueue.take(this.clock, 'start')?._start();
  };

  private readonly endTurn = (): void => {
    const ready = this.yields;
    this.yields = new Fifo();
    while (ready.length > 0) {
      const future = ready.take(this.clock, 'yield');
      future?._finish(RESOLVED, future._value);
    }
  };
}

/** A callback that was scheduled. */
export class Handle {
  private dropped = false;

  /** Takes it back. Nothing happens if it has run. */
  cancel(): void {
    this.dropped = true;
  }

  cancelled(): boolean {
    return this.dropped;
  }
}

/** A callback that was scheduled for a time. */
export class TimerHandle extends Handle {
  private readonly at: number;
  private readonly timer: ClockTimer;

  constructor(when: number, timer: ClockTimer) {
    super();
    this.at = when;
    this.timer = timer;
  }

  /** The loop's time at which it fires, in ms. */
  when(): number {
    return this.at;
  }

  override cancel(): void {
    super.cancel();
    this.timer.cancel();
  }

  /** Not a reason for the process to stay alive. */
  unref(): this {
    this.timer.unref();
    return this;
  }
}

const NOW = Promise.resolve();

/** The loop of the current task; outside of one, the process's default loop. */
export function getRunningLoop(): EventLoop {
  return currentLoop();
}

registry.makeDefaultLoop ??= () => new EventLoop({ name: 'default' });

/** One for all loops, so that there is one `setTimeout`. */
function realClock(): Clock {
  registry.clock ??= new RealClock();
  return registry.clock;
}

function printException({ message, exception }: ExceptionContext): void {
  if (exception === undefined) console.error(message);
  else console.error(`${message}:`, exception);
}
