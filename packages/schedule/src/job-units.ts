import { IntervalError } from './errors.ts';

export type Unit = 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks';

const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** The units of `every(n)`: the words between it and `do()`. */
export abstract class JobUnits {
  /** How many units lie between two runs. */
  readonly interval: number;
  unit: Unit | null = null;
  startDay: Weekday | null = null;

  constructor(interval: number) {
    this.interval = interval;
  }

  get second(): this {
    return this.singular('second', 'seconds');
  }
  get seconds(): this {
    return this.per('seconds');
  }
  get minute(): this {
    return this.singular('minute', 'minutes');
  }
  get minutes(): this {
    return this.per('minutes');
  }
  get hour(): this {
    return this.singular('hour', 'hours');
  }
  get hours(): this {
    return this.per('hours');
  }
  get day(): this {
    return this.singular('day', 'days');
  }
  get days(): this {
    return this.per('days');
  }
  get week(): this {
    return this.singular('week', 'weeks');
  }
  get weeks(): this {
    return this.per('weeks');
  }
  get monday(): this {
    return this.on('monday');
  }
  get tuesday(): this {
    return this.on('tuesday');
  }
  get wednesday(): this {
    return this.on('wednesday');
  }
  get thursday(): this {
    return this.on('thursday');
  }
  get friday(): this {
    return this.on('friday');
  }
  get saturday(): this {
    return this.on('saturday');
  }
  get sunday(): this {
    return this.on('sunday');
  }

  /** @internal 0 for Monday; `null` if there is no weekday. */
  get weekday(): number | null {
    return this.startDay === null ? null : WEEKDAYS.indexOf(this.startDay);
  }

  /** @internal @throws unless a unit may be named now. */
  protected abstract requireUnit(what: string): void;

  private per(unit: Unit): this {
    this.requireUnit(`.${unit}`);
    this.unit = unit;
    return this;
  }

  private singular(one: string, many: Unit): this {
    if (this.interval !== 1) throw new IntervalError(`every(${this.interval}).${one}: use .${many} instead of .${one}`);
    return this.per(many);
  }

  private on(weekday: Weekday): this {
    if (this.interval !== 1) {
      throw new IntervalError(
        `every(${this.interval}).${weekday}: a weekday comes once a week, every 2 or more weeks is not supported. ` +
          `Take every().${weekday}, or every(${this.interval}).weeks`,
      );
    }
    this.per('weeks');
    this.startDay = weekday;
    return this;
  }
}
