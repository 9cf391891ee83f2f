/**
 * When something happens: one question for every kind of schedule, on instants in ms since 1970.
 */
export interface Recurrence {
  /** The first occurrence strictly after the instant, or `null` if there is none. */
  after(instant: number): number | null;
}

/** Every `period` ms of elapsed time, through `anchor`, in both directions. */
export class Interval implements Recurrence {
  readonly anchor: number;
  readonly period: number;

  constructor(anchor: number, period: number) {
    this.anchor = anchor;
    this.period = period;
  }

  after(instant: number): number {
    let k = Math.floor((instant - this.anchor) / this.period) + 1;
    let found = Math.round(this.anchor + k * this.period);
    // A period that is no whole number of ms: rounding may have landed on the instant itself.
    while (found <= instant) found = Math.round(this.anchor + ++k * this.period);
    return found;
  }
}

/** At one instant. */
export class Once implements Recurrence {
  private readonly at: number;

  constructor(at: number) {
    this.at = at;
  }

  after(instant: number): number | null {
    return instant < this.at ? this.at : null;
  }
}

/** `period` ms after whatever was before: the end of a run. */
export class Delay implements Recurrence {
  private readonly period: number;

  constructor(period: number) {
    this.period = period;
  }

  after(instant: number): number {
    return Math.max(instant + 1, Math.round(instant + this.period));
  }
}

/**
 * Each `n`th of a recurrence that happens about once per `period` ms: the one nearest to each step of an even grid. Even
 * where a zone moves by half an hour, and `:30` with it, it neither drifts nor skips.
 */
export class EveryNth implements Recurrence {
  private readonly inner: Recurrence;
  private readonly period: number;
  private readonly grid: Interval;

  constructor(inner: Recurrence, period: number, n: number, anchor: number) {
    this.inner = inner;
    this.period = period;
    this.grid = new Interval(anchor, n * period);
  }

  after(instant: number): number | null {
    let step = this.grid.after(instant - this.grid.period);
    for (;;) {
      const found = this.inner.after(step - this.period / 2 - 1);
      if (found === null || found > instant) return found;
      step = this.grid.after(step);
    }
  }
}
