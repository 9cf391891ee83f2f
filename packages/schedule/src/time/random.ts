/**
 * Chance that can be repeated: what is drawn depends on the seed and on the occurrence alone. So a preview shows what will
 * run, and all machines of a fleet that share a seed draw the same.
 */
import { createHash } from 'node:crypto';
import type { Recurrence } from './recurrence.ts';
import type { WallPattern } from './wall-recurrence.ts';

/** Draws an integer from 0 to `most`, inclusive, for this instant. */
export type Draw = (instant: number, most: number) => number;

export function seededDraw(seed: string | number): Draw {
  return (instant, most) => {
    const hash = createHash('sha1').update(`${seed}/${instant}`).digest();
    return Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * (most + 1));
  };
}

/** `every(5).to(10)`: each time after the one before it is drawn anew from the range. On instants, or on the clock on the wall. */
export class RandomSteps implements Recurrence, WallPattern {
  private readonly least: number;
  private readonly range: number;
  private readonly draw: Draw;
  private readonly step: Step;
  /** Links of the chain, to ask on from: the last one found, and before it ever fewer, back to the anchor. */
  private readonly known: Link[];

  /** @param step what is `count` units after a time: elapsed ones, or days on the wall. */
  constructor(anchor: number, least: number, latest: number, draw: Draw, step: Step) {
    this.least = least;
    this.range = latest - least;
    this.draw = draw;
    this.step = step;
    this.known = [{ at: anchor, index: 0 }];
  }

  /** How many units lie between this time and the next. */
  countAfter(time: number): number {
    return this.least + this.draw(time, this.range);
  }

  after(time: number): number {
    const { known } = this;
    while (known.length > 1 && lastOf(known).at > time) known.pop();
    let { at, index } = lastOf(known);
    while (at <= time) {
      if (index > lastOf(known).index) this.remember({ at, index });
      at = this.step(at, this.countAfter(at));
      index++;
    }
    return at;
  }

  /** The way back to any link is no longer than twice the way from there to the last one. */
  private remember(link: Link): void {
    const { known } = this;
    known.push(link);
    for (let i = known.length - 2; i > 0; i--) {
      const [before, after] = [known[i - 1] as Link, known[i + 1] as Link];
      if (after.index - before.index <= link.index - after.index) known.splice(i, 1);
    }
  }

  next(wall: number): number {
    return this.after(wall);
  }
}

interface Link {
  readonly at: number;
  readonly index: number;
}

function lastOf(links: readonly Link[]): Link {
  return links.at(-1) as Link;
}

export type Step = (from: number, count: number) => number;

/** Each occurrence up to `most` ms later, but always before the one that follows it. */
export class Jitter implements Recurrence {
  private readonly inner: Recurrence;
  private readonly most: number;
  private readonly draw: Draw;

  constructor(inner: Recurrence, most: number, draw: Draw) {
    this.inner = inner;
    this.most = most;
    this.draw = draw;
  }

  after(instant: number): number | null {
    let at = this.inner.after(instant - this.most - 1);
    while (at !== null) {
      const next = this.inner.after(at);
      const moved = at + this.draw(at, next === null ? this.most : Math.min(this.most, next - at - 1));
      if (moved > instant) return moved;
      at = next;
    }
    return null;
  }
}
