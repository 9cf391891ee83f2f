/**
 * Time that jumps to the next timer when nothing else can run, and never while something real is under way.
 *
 * Peers guess: trio and looptime wait a little, fake timers fire one virtual timer per real millisecond; a query of 5 ms
 * loses to its own one-hour timeout. Here it is known: adapters count their operations (`trackIO`), foreign-activity.ts sees
 * what Node's own APIs do, and only sockets that nobody speaks for are given a short quiet time.
 *
 *   turn         runs in a real `setImmediate` until one whole turn shows no sign of life
 *   operations   in flight: wait for them to end, without spinning
 *   fences       open-ended waits (BLPOP, LISTEN): what their server sent before must have arrived
 *   jump         time moves to the next timer, and all timers of that instant fire
 */
import {
  type Clock,
  type ClockTimer,
  currentTask,
  declareDeadlock,
  type EventLoop,
  Future,
  InvalidStateError,
  type TaskInfo,
  taskTree,
} from '@aiokit/core';
import { isBackground } from './background.ts';
import { checkDuration, checkFunction, checkOptions, shown } from './check.ts';
import { ForeignActivity, unnoticed, watchForeignActivity } from './foreign-activity.ts';
import { describeStall, OperationWatch, type Stall } from './operation-watch.ts';
import { ioEvents, realClearTimeout, realNow, realSetImmediate, realSetTimeout, realWallTime } from './real-time.ts';
import { type VirtualTimer, VirtualTimers } from './virtual-timers.ts';

export interface VirtualClockOptions {
  /** The wall clock's time at the beginning: a Date, a text that Date reads, or ms since 1970. Default: now. */
  start?: Date | string | number | undefined;
  /** Whether time moves by itself. With `false` only `advance()` and `runUntilIdle()` move it. Default: true. */
  autoJump?: boolean | undefined;
  /** Real ms for which sockets without an adapter must have been quiet before a jump. Default: 10. */
  quiet?: number | undefined;
  /** Real ms after which an operation in flight counts as stuck. Default: 5,000. */
  ioTimeout?: number | undefined;
}

/**
 * A clock for tests: an hour of `sleep` passes at once, but not while a real query or command is in flight.
 *
 * The clocks of servers stay real: a key with a TTL of a minute does not expire because a virtual minute has passed.
 *
 * @throws `TypeError` or `RangeError` for a bad option.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * await run(() => sleep(3_600_000), { clock });
 * console.log(clock.now()); // => 3600000
 * ```
 *
 * @see https://trio.readthedocs.io/en/stable/reference-testing.html#trio.testing.MockClock
 */
export class VirtualClock implements Clock {
  readonly real = false;
  /** Called instead of declaring a deadlock when nothing can ever run. */
  onHang: (() => void) | null = null;
  /** @internal Called, once for each, with an operation that is in flight for too long. */
  onStall: ((stall: Stall) => void) | null = null;
  /** @internal What tasks do behind core's back. */
  readonly foreign = new ForeignActivity(() => this.stir());
  /** @internal How often time has jumped. */
  jumps = 0;
  /** For `explore()`: which of several things that may happen in any order comes first. */
  pick?: NonNullable<Clock['pick']>;

  private time = 0;
  private readonly start: number;
  private readonly autoJump: boolean;
  private readonly quiet: number;
  private readonly ioTimeout: number;
  private readonly timers = new VirtualTimers();
  private loop: EventLoop | null = null;
  private operations: OperationWatch | null = null;
  private ended = false;

  /** Signs of life that core's epoch does not show: timers set, operations begun and ended. */
  private stirs = 0;
  private seen = { epoch: -1, stirs: -1, events: -1 };
  private turning = false;
  private poll: NodeJS.Timeout | undefined;
  private holds = 0;
  private pursuit: Pursuit | null = null;
  private readonly idlers: Future<void>[] = [];
  /** Real time since when only foreign promises can be what tasks wait for. */
  private hangingSince: number | null = null;
  private readonly observers = new Set<(now: number) => void>();

  constructor(options: VirtualClockOptions = {}) {
    checkOptions(options, 'options');
    this.start = wallTimeOf(options.start);
    this.autoJump = options.autoJump ?? true;
    this.quiet = checkDuration(options.quiet ?? 10, 'options.quiet');
    this.ioTimeout = checkDuration(options.ioTimeout ?? 5_000, 'options.ioTimeout');
  }

  /** Virtual ms since the clock was made. */
  now(): number {
    return this.time;
  }

  /** The virtual wall clock: ms since 1970. */
  wallTime(): number {
    return this.start + this.time;
  }

  setTimer(when: number, callback: () => void): ClockTimer {
    return this._setTimer(when, callback, { leaks: true });
  }

  /** @internal @param leaks whether it is the test's fault when the timer outlives it. */
  _setTimer(when: number, callback: () => void, { leaks }: { leaks: boolean }): ClockTimer {
    this.requireLife('set a timer on');
    this.stir();
    const site = this.tracesTimers && leaks ? new Error('set here') : null;
    const task = this.pick === undefined ? null : currentTask();
    return this.timers.add(when, callback, { background: isBackground(), site, task });
  }

  /**
   * Moves time by `ms`. The timers on the way fire in their order, each when everything before it has had its turn and no
   * operation is in flight; those due at the very end fire, too.
   *
   * A cancel stops it where it is.
   *
   * @param ms virtual ms, not negative.
   * @throws {@link InvalidStateError} on a clock that moves by itself, unless it is held; on a clock whose test is over.
   */
  advance(ms: number): Future<void> {
    checkDuration(ms, 'ms');
    if (this.autoJump && this.holds === 0) {
      throw new InvalidStateError(
        `advance(${ms}) on a clock that moves by itself: await sleep(${ms}) instead, or make the clock with { autoJump: false }`,
      );
    }
    return this.pursue('advance()', this.time + ms);
  }

  /**
   * Moves time until no timer is left that somebody other than a {@link backgroundTask} set. A timer that sets itself again
   * for ever is such a reason: then use `advance()`.
   *
   * A cancel stops it where it is.
   *
   * @throws {@link InvalidStateError} on a clock whose test is over.
   */
  runUntilIdle(): Future<void> {
    return this.pursue('runUntilIdle()', null);
  }

  /**
   * Runs `fn` while time stands still: for actions of the test that must not race with a jump.
   *
   * @returns what `fn` returns.
   */
  async hold<R>(fn: () => R): Promise<Awaited<R>> {
    checkFunction(fn, 'fn');
    this.requireLife('hold');
    this.holds++;
    try {
      return await fn();
    } finally {
      this.holds--;
      this.stir();
    }
  }

  /** @internal Resolves when nothing can run before time moves. */
  idle(): Future<void> {
    this.requireLife('wait on');
    const idler = new Future<void>(this.loop as EventLoop);
    this.idlers.push(idler);
    this.stir();
    return idler;
  }

  /** @internal Calls back when time has moved, before the timers fire. */
  observe(callback: (now: number) => void): () => void {
    this.observers.add(callback);
    return () => void this.observers.delete(callback);
  }

  private tracesTimers = false;

  /** @internal From now on timers remember where they were set. */
  traceTimers(): void {
    this.tracesTimers = true;
    this.foreign.tracesTimers = true;
  }

  /** @internal The timers that are set, keep the clock going, and remember where they were set. */
  pendingTimers(): VirtualTimer[] {
    return this.timers.pending().filter((timer) => timer.referenced && timer.site !== null);
  }

  /** A loop begins to use it. */
  attach(loop: EventLoop): () => void {
    if (this.loop !== null) {
      throw new InvalidStateError(`This VirtualClock belongs to ${this.loop} already: give each run() its own`);
    }
    this.loop = loop;
    this.ended = false;
    this.operations = new OperationWatch(loop, {
      ioTimeout: this.ioTimeout,
      quiet: this.quiet,
      onChange: () => this.stir(),
      onStall: (stall) => this.reportStall(stall),
    });
    const unwatch = watchForeignActivity(loop, this.foreign);
    this.stir();
    return () => {
      unwatch();
      this.operations?.close();
      this.operations = null;
      this.loop = null;
      this.ended = true;
      realClearTimeout(this.poll);
    };
  }

  private requireLife(what: string): void {
    if (!this.ended) return;
    throw new InvalidStateError(
      `Cannot ${what} a VirtualClock whose test or run() is over. Something was left running: await it, or cancel it`,
    );
  }

  private pursue(what: string, until: number | null): Future<void> {
    this.requireLife('move');
    if (this.loop === null) throw new InvalidStateError(`${what} on a clock that no run() uses`);
    if (this.pursuit !== null && !this.pursuit.future.done()) {
      throw new InvalidStateError(`${what} while ${this.pursuit.what} is on its way: await that first`);
    }
    const future = new Future<void>(this.loop);
    this.pursuit = { what, until, future };
    this.stir();
    return future;
  }

  /** Something happened: look again from the next turn on. */
  private stir(): void {
    this.stirs++;
    this.hangingSince = null;
    this.nextTurn();
  }

  private nextTurn(): void {
    if (this.turning || this.loop === null) return;
    this.turning = true;
    unnoticed(() => realSetImmediate(this.turn));
  }

  private lookIn(ms: number): void {
    realClearTimeout(this.poll);
    this.poll = unnoticed(() => realSetTimeout(this.turn, ms));
  }

  private readonly turn = (): void => {
    this.turning = false;
    const { loop, operations } = this;
    if (loop === null || operations === null) return;
    if (!this.isSettled(loop)) return this.nextTurn();

    const wait = operations.check();
    if (wait !== null) return wait === Infinity ? undefined : this.lookIn(wait);
    const request = this.foreign.oldest();
    if (request !== null) {
      const age = realNow() - request.since;
      if (age > this.ioTimeout) this.reportStall({ kind: request.kind, label: undefined, age });
      return this.lookIn(Math.max(1, this.ioTimeout - age));
    }
    if (this.foreign.hasImmediate) return this.nextTurn();
    if (this.foreign.hasTimer(this.ioTimeout) || this.foreign.hasProcess(this.ioTimeout)) return this.lookIn(2);
    const noisy = this.foreign.noisyFor(this.quiet);
    if (noisy > 0) return this.lookIn(noisy);

    if (this.idlers.length > 0 && operations.fence(ioEvents())) return; // Its end stirs the clock.
    const idler = this.idlers.shift();
    if (idler !== undefined) {
      if (!idler.done()) idler.setResult();
      return this.stir();
    }
    this.move(loop, operations);
  };

  /** Whether a whole turn of Node's loop has passed in which nothing ran and nothing arrived. */
  private isSettled({ activity }: EventLoop): boolean {
    const { epoch } = activity;
    const events = ioEvents();
    const { seen, stirs } = this;
    const same = seen.epoch === epoch && seen.stirs === stirs && seen.events === events;
    this.seen = { epoch, stirs, events };
    return same && activity.runnable === 0;
  }

  private move(loop: EventLoop, operations: OperationWatch): void {
    if (this.pursuit?.future.done()) this.pursuit = null; // It was cancelled.
    const { pursuit } = this;
    const next = this.timers.nextTime ?? Infinity;
    const limit = pursuit?.until ?? (pursuit !== null || (this.autoJump && this.holds === 0) ? Infinity : -Infinity);
    const reasons = pursuit === null ? this.timers.referenced : pursuit.until === null ? this.timers.foreground : 1;
    if (next <= limit && next !== Infinity && reasons > 0) {
      if (operations.fence(ioEvents())) return; // Its end stirs the clock.
      return this.jump(loop, next);
    }
    if (pursuit !== null) {
      if (operations.fence(ioEvents())) return;
      this.pursuit = null;
      if (pursuit.until !== null) this.setTime(Math.max(this.time, pursuit.until));
      pursuit.future.setResult();
      return this.stir();
    }
    if (this.holds === 0 && operations.open === 0) this.considerHang(loop);
  }

  private jump(loop: EventLoop, when: number): void {
    this.jumps++;
    this.setTime(Math.max(this.time, when));
    let due = this.timers.takeDue(this.time);
    while (due.length > 0) {
      const [timer] = due.splice(due.length > 1 && this.pick !== undefined ? this.pick(due, 'timer') : 0, 1);
      if (timer === undefined) break;
      this.timers.drop(timer);
      try {
        timer.callback();
      } catch (exception) {
        loop.callExceptionHandler({ message: 'Exception in a timer', exception });
      }
      if (due.some(({ over }) => over)) due = due.filter(({ over }) => !over);
    }
    this.stir();
  }

  private setTime(time: number): void {
    this.time = time;
    for (const observer of this.observers) observer(time);
  }

  /**
   * No timer, no operation. If every task waits for something of core's it is a deadlock. A foreign promise may still
   * settle by something that cannot be seen: it is given a second of real time.
   */
  private considerHang(loop: EventLoop): void {
    if (this.onHang === null && waitsForForeignPromise(loop)) {
      this.hangingSince ??= realNow();
      if (realNow() - this.hangingSince < FOREIGN_PATIENCE) return this.lookIn(10);
    }
    this.hangingSince = null;
    if (this.onHang !== null) {
      this.onHang();
      this.nextTurn();
    } else {
      declareDeadlock(loop);
    }
  }

  private reportStall(stall: Stall): void {
    if (this.onStall !== null) this.onStall(stall);
    else this.loop?.callExceptionHandler({ message: describeStall(stall) });
  }
}

interface Pursuit {
  readonly what: string;
  /** The virtual time to reach; `null`: until nothing is left. */
  readonly until: number | null;
  readonly future: Future<void>;
}

/** Real ms for which a wait that core cannot see may still end by something that nobody can see. */
const FOREIGN_PATIENCE = 1_000;

function waitsForForeignPromise(loop: EventLoop): boolean {
  const isForeign = ({ waits }: TaskInfo): boolean =>
    waits.length === 0 || waits.some(({ task }) => task !== null && isForeign(task));
  return taskTree(loop).some(isForeign);
}

function wallTimeOf(start: Date | string | number | undefined): number {
  if (start === undefined) return realWallTime();
  const time = typeof start === 'number' ? start : new Date(start).getTime();
  if (Number.isFinite(time)) return time;
  throw new RangeError(`options.start must be a Date, a text that Date reads, or ms since 1970, got ${shown(start)}`);
}
