import type { Choice, What } from './order.ts';
import { randomFrom } from './random.ts';

/** Chooses among things that may happen in any order. */
export type Strategy = (ready: readonly unknown[], what: What, step: number) => number;

/** How orders are chosen. */
export type StrategyName = 'fifo' | 'random' | 'pct';

/** First come, first served: what happens without `explore()`. */
export const fifo: Strategy = () => 0;

export function random(seed: number): Strategy {
  const next = randomFrom(seed);
  return (ready) => Math.floor(next() * ready.length);
}

/**
 * Probabilistic concurrency testing: each task has a random priority, the highest one goes first, and at `depth` random
 * steps the one that would go falls to the bottom. Finds bugs that need few switches at the right places, and a bug of
 * depth d among k steps with a probability of at least 1/(n k^(d-1)).
 *
 * @param steps about how many choices a run has.
 * @see https://www.microsoft.com/en-us/research/publication/a-randomized-scheduler-with-probabilistic-guarantees-of-finding-bugs/
 */
export function pct(seed: number, depth: number, steps: number): Strategy {
  const next = randomFrom(seed);
  const changes = new Set(Array.from({ length: depth }, () => Math.floor(next() * Math.max(1, steps))));
  const priorities = new WeakMap<object, number>();
  let lowest = 0;
  const priorityOf = (item: unknown): number => {
    const owner = ownerOf(item);
    let priority = priorities.get(owner);
    if (priority === undefined) {
      priority = next();
      priorities.set(owner, priority);
    }
    return priority;
  };
  const highest = (ready: readonly unknown[]) => {
    const all = ready.map(priorityOf);
    return all.indexOf(Math.max(...all));
  };
  return (ready, _what, step) => {
    const index = highest(ready);
    if (!changes.has(step)) return index;
    priorities.set(ownerOf(ready[index]), --lowest);
    return highest(ready);
  };
}

/** The recorded choices, then first come, first served. */
export function replaying(order: readonly Choice[], onDivergence: () => void): Strategy {
  return (ready, what, step) => {
    const choice = order[step];
    if (choice === undefined) return 0;
    if (choice.what === what && choice.size === ready.length && choice.index < choice.size) return choice.index;
    onDivergence();
    return Math.min(choice.index, ready.length - 1);
  };
}

/** The task that a thing belongs to, as far as it is known; else the thing itself. */
function ownerOf(item: unknown): object {
  const { task } = item as { task?: object | null };
  return task ?? (item as object);
}
