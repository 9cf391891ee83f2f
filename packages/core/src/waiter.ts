/**
 * Who waits for a Future: waiters (awaits, which a cancel can release) and watchers (callbacks of gather, groups, users).
 *
 * Both are nodes of circular, doubly linked lists, a waiter of two at once (its Future's and its scope's): leaving is O(1)
 * even when 100,000 wait for one Future, and nothing is allocated besides the node. A Set costs three times as much.
 */
import type { Future } from './future.ts';
import type { Scope } from './scope.ts';
import type { Task } from './task.ts';

/** One `await` of one Future. */
export class Waiter {
  readonly future: Future<unknown>;
  /** The scope that a cancel must reach to release this wait; null outside of any, and once the wait is over. */
  scope: Scope | null = null;
  /** The native functions that the engine handed to `then`: closures here would cut the async stack trace. */
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  next: Waiter = this;
  previous: Waiter = this;
  nextInScope: Waiter = this;
  previousInScope: Waiter = this;
  /** When it began to wait, in ms of its loop's clock, to within a turn. */
  since = 0;
  /** Debug mode: where the wait was made. */
  site: Error | null = null;

  constructor(future: Future<unknown>, resolve: (value: never) => void, reject: (error: unknown) => void) {
    this.future = future;
    this.resolve = resolve;
    this.reject = reject;
  }

  joinScope(scope: Scope): void {
    this.scope = scope;
    const first = scope.waiters;
    if (first === null) {
      scope.waiters = this;
      return;
    }
    const last = first.previousInScope;
    last.nextInScope = this;
    this.previousInScope = last;
    this.nextInScope = first;
    first.previousInScope = this;
  }

  leaveScope(): void {
    const scope = this.scope;
    if (scope === null) return;
    this.scope = null;
    if (this.nextInScope === this) {
      scope.waiters = null;
      return;
    }
    if (scope.waiters === this) scope.waiters = this.nextInScope;
    this.previousInScope.nextInScope = this.nextInScope;
    this.nextInScope.previousInScope = this.previousInScope;
    this.nextInScope = this.previousInScope = this;
  }
}

/** Something that waits for Futures on behalf of a task until it is done: a gather, a group, a shield. */
export interface Joiner {
  readonly owner: Task<unknown> | null;
  done(): boolean;
}

/** A callback on a Future's end. With a joiner it counts as somebody who waits. */
export class Watcher {
  readonly callback: (future: Future<unknown>) => void;
  readonly joiner: Joiner | null;
  /** The user's own function, to find it again. */
  readonly key: unknown;
  next: Watcher = this;
  previous: Watcher = this;

  constructor(callback: (future: Future<unknown>) => void, joiner: Joiner | null, key: unknown) {
    this.callback = callback;
    this.joiner = joiner;
    this.key = key;
  }
}

interface Node {
  next: this;
  previous: this;
}

/** Adds a node at the end of a list and returns the list's first node. */
export function append<N extends Node>(first: N | null, node: N): N {
  if (first === null) return node;
  const last = first.previous;
  last.next = node;
  node.previous = last;
  node.next = first;
  first.previous = node;
  return first;
}

/** Takes a node out of a list and returns the list's first node. */
export function remove<N extends Node>(first: N | null, node: N): N | null {
  if (node.next === node) return first === node ? null : first;
  node.previous.next = node.next;
  node.next.previous = node.previous;
  const rest = first === node ? node.next : first;
  node.next = node.previous = node;
  return rest;
}

/** Visits every node that is in the list now; the visitor may change the list. */
export function forEachIn<N extends Node>(first: N | null, visit: (node: N) => void): void {
  if (first === null) return;
  if (first.next === first) return visit(first);
  const nodes: N[] = [];
  let node = first;
  do {
    nodes.push(node);
    node = node.next;
  } while (node !== first);
  for (const each of nodes) visit(each);
}

export function someIn<N extends Node>(first: N | null, test: (node: N) => boolean): boolean {
  if (first === null) return false;
  let node = first;
  do {
    if (test(node)) return true;
    node = node.next;
  } while (node !== first);
  return false;
}
