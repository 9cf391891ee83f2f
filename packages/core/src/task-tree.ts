/** Who waits for what: for messages, for a signal handler, for a debugger. */

import { currentLoop } from './current-loop.ts';
import { place } from './debug.ts';
import type { Future } from './future.ts';
import type { EventLoop } from './loop.ts';
import { eachWaiter } from './scope.ts';
import type { Task } from './task.ts';
import { forEachIn } from './waiter.ts';

/** One wait of a task. */
export interface WaitInfo {
  /** What it waits for: `sleep`, `Queue.get`, `Task load`, or what an adapter calls its operation. */
  readonly on: string;
  /** When it began, in ms of the loop's clock; `null` for a child of a group or gather, which has waited from its start. */
  readonly since: number | null;
  /** The task it waits for, if it is one. */
  readonly task: TaskInfo | null;
  /** Debug mode: the stack of the wait. */
  readonly site: string | null;
}

/** One task with its waits. */
export interface TaskInfo {
  readonly name: string;
  readonly cancelling: number;
  readonly waits: readonly WaitInfo[];
  /** Debug mode: the stack of its creation. */
  readonly site: string | null;
}

/** The tasks of a loop that nobody in it waits for, each with what it waits for, down to the leaves. */
export function taskTree(loop: EventLoop = currentLoop()): TaskInfo[] {
  const edges = edgesOf(loop);
  const awaited = new Set<unknown>();
  for (const [task, waits] of edges) for (const { future } of waits) if (future !== task) awaited.add(future);
  const seen = new Set<unknown>();
  const tree: TaskInfo[] = [];
  // Tasks that wait for each other have no root: whichever is first stands for it.
  for (const isRoot of [true, false]) {
    for (const task of edges.keys()) {
      if (!seen.has(task) && !(isRoot && awaited.has(task))) tree.push(describe(task, edges, new Set(), seen));
    }
  }
  return tree;
}

/** The task tree as text, a line for each task. */
export function formatTaskTree(loop: EventLoop = currentLoop()): string {
  const lines: string[] = [];
  for (const task of taskTree(loop)) format(task, loop.time(), '', lines);
  return lines.join('\n');
}

interface Edge {
  readonly future: Future<unknown>;
  readonly since: number | null;
  readonly site: Error | null;
}

/** What each task waits for: by an await of its own, or through a group, a gather or the like. */
function edgesOf(loop: EventLoop): Map<Task<unknown>, Edge[]> {
  const edges = new Map<Task<unknown>, Edge[]>();
  forEachIn(loop._tasks, (task) => {
    const waits: Edge[] = [];
    eachWaiter(task, (waiter) => waits.push(waiter));
    edges.set(task, waits);
  });
  for (const child of edges.keys()) {
    forEachIn(child._watchers, ({ joiner }) => {
      if (joiner === null || joiner.owner === null || joiner.done()) return;
      edges.get(joiner.owner)?.push({ future: child, since: null, site: null });
    });
  }
  return edges;
}

function describe(
  task: Task<unknown>,
  edges: ReadonlyMap<Task<unknown>, Edge[]>,
  above: ReadonlySet<unknown>,
  seen: Set<unknown>,
): TaskInfo {
  seen.add(task);
  const path = new Set(above).add(task);
  const waits = (edges.get(task) ?? []).map(({ future, since, site }): WaitInfo => {
    const inner = edges.has(future as Task<unknown>) && !path.has(future) ? (future as Task<unknown>) : null;
    const info = inner === null ? null : describe(inner, edges, path, seen);
    return { on: future.describe(), since, task: info, site: stackOf(site, future) };
  });
  return { name: task.name, cancelling: task.cancelling(), waits, site: task._site?.stack ?? null };
}

/** Before Node 26 the stack of a wait has no frames of the awaiting functions; that of what is waited for has. */
function stackOf(site: Error | null, future: Future<unknown>): string | null {
  const known = place(site) === '' ? future._site : site;
  return known?.stack ?? null;
}

function format(task: TaskInfo, now: number, indent: string, lines: string[]): void {
  const cancelling = task.cancelling > 0 ? ' (cancelling)' : '';
  const leaves = task.waits.filter((wait) => wait.task === null);
  const on = leaves.length > 0 ? ` waits for ${leaves.map((wait) => leaf(wait, now)).join(', ')}` : '';
  const unseen = task.waits.length === 0 ? ' waits for a promise that core cannot see, or has not begun' : '';
  lines.push(`${indent}${task.name}${cancelling}${on}${unseen}${place(task.site)}`);
  for (const wait of task.waits) if (wait.task !== null) format(wait.task, now, `${indent}  `, lines);
}

function leaf({ on, since, site }: WaitInfo, now: number): string {
  const age = since === null ? '' : ` for ${Math.round(now - since)} ms`;
  return `${on}${age}${place(site)}`;
}
