import { cancelIn } from './cancelled.ts';
import { checkFunction, checkMsOrNull } from './check.ts';
import type { ClockTimer } from './clock.ts';
import { currentLoop } from './current-loop.ts';
import { place } from './debug.ts';
import { InvalidStateError, TimeoutError } from './errors.ts';
import { Future, makeCancel, RESOLVED } from './future.ts';
import { type Joinable, type Joined, toFuture } from './joinable.ts';
import { registry } from './registry.ts';
import {
  cancelScope,
  cancelsAround,
  cancelsWithin,
  clearPending,
  closeWithin,
  currentScope,
  NestedScope,
  type Scope,
} from './scope.ts';
import { currentTask } from './task.ts';

/**
 * Runs `body`; if it has not ended after `ms` milliseconds, everything it waits for is cancelled and the result is a
 * {@link TimeoutError}. A cancel of the task from outside wins: it stays a CancelledError.
 *
 * A body that catches the cancel and returns normally has met its deadline as far as the caller can see; its value is
 * returned and `t.expired()` is true. If the body waits in a promise that cannot be cancelled, `timeout` rejects on time all
 * the same: the body is abandoned, each later wait in it is cancelled, and a warning says where.
 *
 * @param ms the limit in ms; `null` for none (see `t.reschedule`). Zero and less expire at the body's first real wait.
 *
 * @example
 * ```ts
 * const user = await timeout(500, () => loadUser(1));
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout
 */
export function timeout<R>(ms: number | null, body: (timeout: Timeout) => R): Promise<Awaited<R>> {
  checkMsOrNull(ms, 'ms');
  checkFunction(body, 'body');
  return new Timeout(ms === null || ms === Infinity ? null : currentLoop().time() + ms)._run(body);
}

/** As {@link timeout}, with the instant of the loop's clock (`getRunningLoop().time()`, in ms) instead of a duration. */
export function timeoutAt<R>(when: number | null, body: (timeout: Timeout) => R): Promise<Awaited<R>> {
  checkMsOrNull(when, 'when');
  checkFunction(body, 'body');
  return new Timeout(when === Infinity ? null : when)._run(body);
}

/**
 * The instant at which the innermost running timeout around this code expires, in ms of the loop's clock, or `null`.
 */
export function currentDeadline(): number | null {
  let deadline: number | null = null;
  for (let scope = currentScope(); scope !== null; scope = scope.parent) {
    const own = scope instanceof NestedScope ? scope.deadline : null;
    if (own !== null && (deadline === null || own < deadline)) deadline = own;
  }
  return deadline;
}

/**
 * Waits for one thing, at most `ms` milliseconds. A function runs in the calling task; with `ms <= 0` it is not even
 * started. A Task is cancelled when time runs out, unless others wait for it, too; any other promise is abandoned.
 *
 * @throws {@link TimeoutError}
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.wait_for
 */
export function waitFor<J extends Joinable<unknown>>(item: J, ms: number | null): Promise<Joined<J>> {
  checkMsOrNull(ms, 'ms');
  const body: () => unknown = typeof item === 'function' ? item : () => future;
  const future = typeof item === 'function' ? null : toFuture(item);
  if (ms !== null && ms <= 0 && !isSharedFuture(future)) return atOnce(future ?? item) as Promise<Joined<J>>;
  return timeout(ms, body) as Promise<Joined<J>>;
}

/** What {@link timeout} gives its body. */
export class Timeout {
  private readonly scope: NestedScope;
  private readonly parent: Scope | null;
  private readonly cancelsAtEntry: number;
  private state: 'created' | 'active' | 'expiring' | 'expired' | 'finished' = 'created';
  private timer: ClockTimer | null = null;
  private giveUp: ((error: TimeoutError) => void) | null = null;
  /** For the warning about an abandoned body: its text tells which, and a stack would cost more than the timeout. */
  private body: unknown = null;
  private readonly site: Error | null;

  constructor(when: number | null) {
    this.parent = currentScope();
    this.cancelsAtEntry = cancelsAround(this.parent);
    this.scope = new NestedScope(currentLoop(), this.parent);
    this.scope.deadline = when;
    this.site = this.scope.loop.debug ? new Error('made here') : null;
  }

  /** The instant at which it expires, in ms of the loop's clock; `null` for never. */
  when(): number | null {
    return this.scope.deadline;
  }

  /** Whether it has cancelled its body. */
  expired(): boolean {
    return this.state === 'expiring' || this.state === 'expired';
  }

  /**
   * Moves the deadline.
   *
   * @param when the new instant, in ms of the loop's clock; `null` for never.
   * @throws {@link InvalidStateError} if it has expired or its body has ended.
   */
  reschedule(when: number | null): void {
    checkMsOrNull(when, 'when');
    if (this.state !== 'active') {
      throw new InvalidStateError(`reschedule() of a timeout that is ${this.state}: only a running one can be moved`);
    }
    this.scope.deadline = when === Infinity ? null : when;
    this.arm();
  }

  /** @internal */
  _run<R>(body: (timeout: Timeout) => R): Promise<Awaited<R>> {
    this.state = 'active';
    this.arm();
    const running = registry.context.run(this.scope, invoke<R>, body, this);
    this.body = body;
    return new Promise((resolve, reject) => {
      this.giveUp = reject;
      running
        .then(
          (value) => this.leave(value),
          (error) => this.leaveFailed(error),
        )
        .then(resolve as (value: unknown) => void, reject);
    });
  }

  private arm(): void {
    this.timer?.cancel();
    this.timer = null;
    const { scope } = this;
    if (scope.pending !== null && scope.pending.onTaken !== null) scope.pending = null;
    const when = scope.deadline;
    if (when === null) return;
    const { clock } = scope.loop;
    if (when > clock.now()) {
      this.timer = clock.setTimer(when, this.expire);
    } else if (registry.context.getStore()?.task === scope.task) {
      // Past already: it expires when the body really waits, and not at all if it never does.
      const onTaken = () => {
        this.state = 'expiring';
        scope.cancels++;
        (scope.sent ??= []).push(error);
      };
      const error = makeCancel(undefined);
      scope.pending ??= { error, own: true, onTaken, sticky: false };
    } else {
      const soon = scope.loop.callSoon(this.expire);
      this.timer = {
        cancel: () => soon.cancel(),
        unref() {
          return this;
        },
      };
    }
  }

  private readonly expire = (): void => {
    if (this.state !== 'active') return;
    this.state = 'expiring';
    const delivered = cancelScope(this.scope, makeCancel(undefined));
    // Nothing there that can be cancelled. One turn for code that is about to wait, then it is left to itself.
    if (!delivered) setImmediate(() => setImmediate(this.abandon));
  };

  private readonly abandon = (): void => {
    if (this.state !== 'expiring' || this.scope.pending === null) return;
    this.state = 'expired';
    this.scope.abandon(this.scope.pending.error);
    warnAbandoned(this.scope, String(this.body), this.site);
    this.giveUp?.(new TimeoutError('timed out'));
  };

  private leave<T>(value: T): T {
    this.close();
    return value;
  }

  private leaveFailed(error: unknown): never {
    const isOwn =
      this.expired() && cancelIn(error, this.scope) !== null && cancelsAround(this.parent) <= this.cancelsAtEntry;
    this.close();
    if (isOwn) throw new TimeoutError('timed out', { cause: error });
    throw error;
  }

  private close(): void {
    this.timer?.cancel();
    const expired = this.expired();
    this.state = expired ? 'expired' : 'finished';
    closeWithin(this.scope, this.cancelsAtEntry);
    // A cancel that a group inside renewed for this timeout's sake ends with it.
    const task = this.parent?.task;
    if (expired && task && cancelsWithin(task) === 0) clearPending(task);
  }
}

function invoke<R>(body: (timeout: Timeout) => R, timeout: Timeout): Promise<unknown> {
  try {
    return Promise.resolve(body(timeout));
  } catch (error) {
    return Promise.reject(error);
  }
}

function isSharedFuture(item: unknown): boolean {
  const scope = currentScope();
  return item instanceof Future && scope !== null && item._isAwaitedOutside(scope);
}

/** `waitFor` without any time: what is done already counts, everything else is cancelled. */
async function atOnce(item: Joinable<unknown>): Promise<unknown> {
  const future = toFuture(item);
  if (future.done()) return future.result();
  const ended = new Future<void>();
  const joiner = { owner: currentTask(), done: () => ended.done() };
  future._watch(() => ended._finish(RESOLVED, undefined), joiner);
  future.cancel();
  await ended;
  try {
    return future.result();
  } catch (error) {
    if (cancelIn(error, currentScope()) !== null) throw new TimeoutError('timed out', { cause: error });
    throw error;
  }
}

function warnAbandoned(scope: NestedScope, body: string, site: Error | null): void {
  if (registry.warned.has('abandoned') && !scope.loop.debug) return;
  registry.warned.add('abandoned');
  const where = scope.task === null ? '' : ` in ${scope.task.name}`;
  const text = body.replace(/\s+/g, ' ');
  const which = site === null ? ' AIOKIT_DEBUG=1 tells the place.' : place(site);
  process.emitWarning(
    `A timeout${where} expired while its body, ${text.length > 100 ? `${text.slice(0, 97)}...` : text}, waited in a promise ` +
      'that cannot be cancelled. The body was left to itself. Wrap the promise: abortable((signal) => …) stops the work, ' +
      `until(promise) only stops waiting.${which}`,
    { code: 'AIOKIT_ABANDONED', type: 'AiokitWarning' },
  );
}
