/**
 * Cancel scopes: how far a cancel reaches.
 *
 * The ambient value is a scope. A task is its own root scope (an object less per task); `timeout`, `taskGroup` and
 * `withSignal` open nested ones. Cancelling a scope reaches the waits inside it and nothing else, so that of two timeouts
 * side by side in one `Promise.all` each ends only its own half. asyncio needs no such tree because a Python task waits
 * for one thing at a time; a JavaScript task may wait for many.
 *
 * Counts and pending cancels belong to a scope and end with it.
 */
import { watchUndelivered } from './debug.ts';
import type { CancelledError } from './errors.ts';
import type { EventLoop } from './loop.ts';
import { registry } from './registry.ts';
import type { Task } from './task.ts';
import { append, forEachIn, remove, someIn, type Waiter } from './waiter.ts';

export interface Scope {
  readonly loop: EventLoop;
  /** The task that runs in this scope, or null: scopes work without one, too. */
  readonly task: Task<unknown> | null;
  readonly parent: Scope | null;
  readonly open: boolean;
  waiters: Waiter | null;
  children: NestedScope | null;
  /** A cancel that found no wait: the next wait takes it. */
  pending: PendingCancel | null;
  /** How many cancels were asked of this scope and not taken back. */
  cancels: number;
  /** How many waiters were rejected with a CancelledError and have not resumed yet. */
  unwinding: number;
  /** The CancelledErrors that this scope was ever sent, to know them again when they come back wrapped. */
  sent: CancelledError[] | null;
  controller: AbortController | null;
}

export interface PendingCancel {
  readonly error: CancelledError;
  /** Asked by the task itself: then it ends the task even if no wait follows. */
  readonly own: boolean;
  /** A deadline that was past from the start counts only when a wait really meets it. */
  readonly onTaken: (() => void) | null;
  /** The scope was abandoned: every later wait in it meets this. */
  readonly sticky: boolean;
}

/** A scope inside a task, or outside of any. (A loop's callbacks run in one that is closed: no cancel reaches them.) */
export class NestedScope implements Scope {
  readonly loop: EventLoop;
  readonly task: Task<unknown> | null;
  parent: Scope | null;
  open = true;
  waiters: Waiter | null = null;
  children: NestedScope | null = null;
  pending: PendingCancel | null = null;
  cancels = 0;
  unwinding = 0;
  sent: CancelledError[] | null = null;
  controller: AbortController | null = null;
  /** The instant (of the loop's clock) at which this scope is cancelled by its timeout. */
  deadline: number | null = null;
  next: NestedScope = this;
  previous: NestedScope = this;

  constructor(loop: EventLoop, parent: Scope | null) {
    this.loop = loop;
    this.task = parent === null ? null : parent.task;
    this.parent = parent;
    if (parent !== null) parent.children = append(parent.children, this);
  }

  /** Ends the scope: what still waits in it belongs to its parent. */
  close(): void {
    this.open = false;
    this.pending = null;
    const parent = this.leaveParent();
    if (parent === null) return;
    for (let child = this.children; child !== null; child = this.children) {
      this.children = remove(this.children, child);
      child.parent = parent;
      parent.children = append(parent.children, child);
    }
    for (let waiter = this.waiters; waiter !== null; waiter = this.waiters) {
      waiter.leaveScope();
      waiter.joinScope(parent);
    }
  }

  /** Cuts the scope off for good: nobody waits for its body any more, and each later wait in it is cancelled. */
  abandon(error: CancelledError): void {
    this.leaveParent();
    this.parent = null;
    this.pending = { error, own: true, onTaken: null, sticky: true };
  }

  private leaveParent(): Scope | null {
    const parent = this.parent;
    if (parent !== null) parent.children = remove(parent.children, this);
    return parent;
  }
}

/** The innermost scope that is still open, or null outside of any. */
export function currentScope(): Scope | null {
  const scope = registry.context.getStore();
  return scope === undefined ? null : liveScope(scope);
}

/** A wait in a closed scope belongs to its nearest open ancestor. */
export function liveScope(scope: Scope): Scope | null {
  let live: Scope | null = scope;
  while (live !== null && !live.open) live = live.parent;
  return live;
}

export function isInside(scope: Scope | null, ancestor: Scope): boolean {
  for (let s = scope; s !== null; s = s.parent) if (s === ancestor) return true;
  return false;
}

/** Cancels of this scope and of those inside it. */
export function cancelsWithin(scope: Scope): number {
  let sum = scope.cancels;
  forEachIn(scope.children, (child) => {
    sum += cancelsWithin(child);
  });
  return sum;
}

/** Cancels of this scope and of those around it. */
export function cancelsAround(scope: Scope | null): number {
  let sum = 0;
  for (let s = scope; s !== null; s = s.parent) sum += s.cancels;
  return sum;
}

/**
 * Closes a scope whose own cancel ends with it. One that is still pending there stands for all around it (a group has renewed
 * it): if one of those came after the scope was entered, it goes on. A deadline that no wait has met stands for none.
 */
export function closeWithin(scope: NestedScope, cancelsAtEntry: number): void {
  const { parent, pending } = scope;
  scope.close();
  if (pending === null || pending.onTaken !== null || parent === null) return;
  if (cancelsAround(parent) > cancelsAtEntry) parent.pending ??= pending;
}

/** Sends a cancel into a scope: to every wait inside, or else it stays pending until the next wait. */
export function cancelScope(scope: Scope, error: CancelledError): boolean {
  if (scope.sent?.includes(error)) {
    recount(scope, error);
    return true;
  }
  scope.cancels++;
  if (scope.sent === null) scope.sent = [error];
  else scope.sent.push(error);
  return deliver(scope, error);
}

/**
 * One cancel that came two ways, through a group and by the end of `run()` say. It interrupts nothing twice; as long as it is
 * on its way (the task has not resumed, or waits for another that has not) it counts again, as any cancel does.
 */
export function recount(scope: Scope, error: CancelledError, passed = new Set<Scope>()): boolean {
  if (passed.has(scope)) return false; // Tasks that wait for each other.
  passed.add(scope);
  let isOnItsWay = isUnwinding(scope);
  eachWaiter(scope, ({ future }) => {
    if (future._recount(error, passed)) isOnItsWay = true;
  });
  if (isOnItsWay) scope.cancels++;
  return isOnItsWay;
}

function isUnwinding(scope: Scope): boolean {
  return scope.unwinding > 0 || scope.pending !== null || someIn(scope.children, isUnwinding);
}

/** Whether the error is a cancel that was sent to this scope or to one around it. */
export function wasSent(scope: Scope | null, error: unknown): boolean {
  for (let s = scope; s !== null; s = s.parent) if (s.sent?.includes(error as CancelledError)) return true;
  return false;
}

/** Returns whether a wait took the cancel (or an earlier one is still on its way up, and the two become one). */
export function deliver(scope: Scope, error: CancelledError): boolean {
  // Nearly always a task waits for one thing.
  const only = scope.children === null && scope.controller === null ? scope.waiters : null;
  if (only !== null && only.nextInScope === only) {
    if (sendTo(only, scope, error)) return true;
  }
  const reach: Reach = { waiters: [], unwinding: 0 };
  collect(scope, error, reach);
  let taken = false;
  for (const waiter of reach.waiters) {
    // Without a scope it was settled by a cancel just sent: two waits for one Future.
    if (waiter.scope !== null && sendTo(waiter, scope, error)) taken = true;
  }
  if (taken) return true;
  const own = scope.task !== null && registry.context.getStore()?.task === scope.task;
  // A CancelledError is on its way and its task has not resumed: several cancels before that are one.
  if (reach.unwinding > 0 && !own) return true;
  scope.pending = { error, own, onTaken: null, sticky: false };
  if (scope.loop.debug) watchUndelivered(scope, error);
  return false;
}

/** Cancels what is waited for, or, if others wait for it, too, releases this waiter alone. */
function sendTo(waiter: Waiter, scope: Scope, error: CancelledError): boolean {
  const { future } = waiter;
  if (!future._isAwaitedOutside(scope) && !future._closesCircle(scope)) return future._cancel(error, scope);
  future._release(waiter, error);
  return true;
}

interface Reach {
  readonly waiters: Waiter[];
  unwinding: number;
}

function collect(scope: Scope, error: CancelledError, reach: Reach): void {
  reach.unwinding += scope.unwinding;
  eachOwnWaiter(scope, (waiter) => reach.waiters.push(waiter));
  if (scope.controller !== null) scope.controller.abort(error);
  forEachIn(scope.children, (child) => collect(child, error, reach));
}

export interface TakenCancel {
  readonly error: CancelledError;
  /** The outermost scope that had one pending. */
  readonly scope: Scope;
  readonly pending: PendingCancel;
}

/** Takes all cancels that are pending from here to the root: they are delivered as one. */
export function takePending(scope: Scope): TakenCancel | null {
  let taken: TakenCancel | null = null;
  for (let s: Scope | null = scope; s !== null; s = s.parent) {
    const pending: PendingCancel | null = s.pending;
    if (pending === null) continue;
    if (!pending.sticky) s.pending = null;
    pending.onTaken?.();
    const error: CancelledError = pending.error.reason === undefined && taken !== null ? taken.error : pending.error;
    taken = { error, scope: s, pending };
  }
  return taken;
}

/** The cancel that is pending for waits in this scope, without taking it. */
export function peekPending(scope: Scope | null): CancelledError | null {
  for (let s = scope; s !== null; s = s.parent) if (s.pending !== null) return s.pending.error;
  return null;
}

/** Forgets pending cancels of the scope and of those inside it. */
export function clearPending(scope: Scope): void {
  if (scope.pending !== null && scope.pending.onTaken === null && !scope.pending.sticky) scope.pending = null;
  forEachIn(scope.children, clearPending);
}

/** The first scope from here inwards that was cancelled gives one cancel back. */
export function takeBackCancel(scope: Scope): boolean {
  if (scope.cancels > 0) {
    scope.cancels--;
    return true;
  }
  let found = false;
  forEachIn(scope.children, (child) => {
    found ||= takeBackCancel(child);
  });
  return found;
}

/**
 * The signal that aborts when this scope, or one around it, is cancelled. It belongs to one cancel: after delivery a new
 * one is made, so that cleanup can use it.
 */
export function signalOf(scope: Scope): AbortSignal {
  const pending = peekPending(scope);
  let controller = scope.controller;
  if (controller === null || (controller.signal.aborted && pending === null)) {
    controller = scope.controller = new AbortController();
    if (pending !== null) controller.abort(pending);
  }
  return controller.signal;
}

/** Visits the waits in this scope and in those inside it. The visitor must not settle them. */
export function eachWaiter(scope: Scope, visit: (waiter: Waiter) => void): void {
  eachOwnWaiter(scope, visit);
  forEachIn(scope.children, (child) => eachWaiter(child, visit));
}

function eachOwnWaiter(scope: Scope, visit: (waiter: Waiter) => void): void {
  const first = scope.waiters;
  if (first === null) return;
  let waiter = first;
  do {
    visit(waiter);
    waiter = waiter.nextInScope;
  } while (waiter !== first);
}
