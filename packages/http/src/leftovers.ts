import type { Task } from '@aiokit/core';
import { Chain, type Linked } from './chain.ts';

/** What a task opened and may not finish with. */
interface Opened {
  release(): void;
}

/** A hold of a task on what it opened. */
export class Leftover implements Linked<Leftover> {
  /** @internal */ _chain: Linked<Leftover>['_chain'] = null;
  /** @internal */ _next: Leftover | null = null;
  /** @internal */ _previous: Leftover | null = null;
  readonly opened: Opened;

  constructor(opened: Opened) {
    this.opened = opened;
  }

  /** Its end is nothing to the task any more. */
  forget(): void {
    this._chain?.delete(this);
  }
}

const leftovers = new WeakMap<Task<unknown>, Chain<Leftover>>();

/**
 * Releases what was opened when the task ends, unless it is forgotten before: a response that nobody reads to its end would
 * hold its connection for ever.
 */
export function releaseWithTask(task: Task<unknown>, opened: Opened): Leftover {
  let chain = leftovers.get(task);
  if (chain === undefined) {
    chain = new Chain();
    leftovers.set(task, chain);
    task.addDoneCallback(releaseAll);
  }
  const leftover = new Leftover(opened);
  chain.add(leftover);
  return leftover;
}

function releaseAll(task: Task<unknown>): void {
  for (const { opened } of leftovers.get(task) ?? []) opened.release();
}
