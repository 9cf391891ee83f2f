/**
 * Chance that can be repeated: what is drawn depends on the seed and on the occurrence alone. So a preview shows what will
 * run, and all machines of a fleet that share a seed draw the same.
 */
import { createHash } from 'node:crypto';
import type { Recurrence } from './recurrence.ts';

/** Draws an integer from 0 to `most`, inclusive, for this instant. */
export type Draw = (instant: number, most: number) => number;

export function seededDraw(seed: string | number): Draw {
  return (instant, most) => {
    const hash = createHash('sha1').update(`${seed}/${instant}`).digest();
    return Math.floor((hash.readUIntBE(0, 6) / 2 ** 48) * (most + 1));
  };
}

/** `every(5).to(10).seconds`: each time after the one before it is drawn anew from the range, in whole units. */
export class RandomInterval implements Recurrence {
  private readonly anchor: number;
  private readonly least: number;
  private readonly range: number;
  private readonly unit: number;
  private readonly draw: Draw;
  /** The link of the chain found last: asking on from there costs nothing. */
  private link: number;

  constructor(anchor: number, least: number, latest: number, unit: number, draw: Draw) {
    this.anchor = anchor;
    this.least = least;
    this.range = latest - least;
    this.unit = unit;
    this.draw = draw;
    this.link = anchor;
  }

  after(instant: number): number {
    let link = this.link <= instant ? this.link : this.anchor;
    while (link <= instant) {
      this.link = link;
      link = Math.round(link + (this.least + this.draw(link, this.range)) * this.unit);
    }
    return link;
  }
}

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
