import { inspect } from 'node:util';
import { getRunningLoop } from '@aiokit/core';
import { checkCount, checkFunction, checkMs, shown } from './check.ts';
import { IntervalError, ScheduleError, ScheduleValueError } from './errors.ts';
import type { JobContext } from './job-context.ts';
import { type JobOptions, type Policy, policyOf } from './job-options.ts';
import { JobRunner } from './job-runner.ts';
import type { JobStatus } from './job-status.ts';
import { ruleOf, textOf } from './job-text.ts';
import { JobUnits } from './job-units.ts';
import { type Plan, planOf, type Trigger } from './plan.ts';
import type { Scheduler } from './scheduler.ts';
import { UNIT_MS } from './simple-plans.ts';
import { type AtTime, parseAtTime } from './time/at-time.ts';
import { type InstantInput, toInstant } from './time/instant.ts';
import { parseUntil, type UntilInput } from './time/until.ts';
import { Zone } from './time/zone.ts';

/** What jobs are grouped by: a name, the id of a chat. */
export type Tag = string | number | bigint | boolean | symbol;

/** What a job's function is called with. Conditional, so that the types come from the arguments, not from the function. */
export type JobArgs<A> = A extends unknown[] ? [...A, JobContext] : never;

/**
 * One entry of a schedule: what runs, and when. `every()`, `cron()`, `once()` and `interval()` begin one, and `do()` puts
 * it on the schedule; a chain without `do()` does nothing.
 *
 * @example
 * ```ts
 * every(10).minutes.do(job);
 * every().day.at('10:30', 'Europe/Berlin').tag('daily').do(job);
 * every(5).to(10).seconds.until('18:30').do(job);
 * ```
 *
 * @see https://schedule.readthedocs.io/en/stable/reference.html#schedule.Job
 */
export class Job extends JobUnits {
  /** The upper end of `to()`. */
  latest: number | null = null;
  /** What was given to `at()`. */
  atTime: string | null = null;
  atTimeZone: string | null = null;
  readonly tags = new Set<Tag>();

  /** @internal */ time: AtTime | null = null;
  /** @internal */ readonly options: JobOptions;
  /** @internal */ policy!: Policy;
  /** @internal */ plan: Plan | null = null;
  /** @internal */ deadline: number | null = null;
  /** @internal */ readonly runner = new JobRunner(this);
  /** @internal */ call: ((context: JobContext) => unknown) | null = null;
  private readonly scheduler: Scheduler;
  private readonly trigger: Trigger;
  /** @internal */ functionName = '';
  /** @internal */ args: readonly unknown[] = [];

  /** @internal Users begin with `every()` and its like. */
  constructor(scheduler: Scheduler, trigger: Trigger, interval: number, options: JobOptions) {
    super(interval);
    this.scheduler = scheduler;
    this.trigger = trigger;
    this.options = options;
  }

  /**
   * At which time: of the day (`'HH:MM'`, `'HH:MM:SS'`) for days and weekdays, of the hour (`':MM'`, `'MM:SS'`) for hours, of
   * the minute (`':SS'`) for minutes. It is given after the unit.
   *
   * @param timeZone a name of the IANA database. Default: the job's, the scheduler's, the machine's.
   * @throws TypeError if `time` is not a string; {@link ScheduleValueError} if the unit has no such time or the format is another.
   */
  at(time: string, timeZone?: string): this {
    this.requireOpen('at()');
    const unit = this.startDay === null ? this.unit : 'days';
    if (this.trigger.kind !== 'every' || (unit !== 'days' && unit !== 'hours' && unit !== 'minutes')) {
      const what = unit === null ? 'before the unit: give the unit first' : `after .${unit}`;
      throw new ScheduleValueError(`at(${shown(time)}) ${what}. It follows days, a weekday, hours or minutes`);
    }
    this.time = parseAtTime(unit, time);
    this.atTime = time;
    if (timeZone !== undefined) {
      const given = this.options.timeZone;
      if (given !== undefined && given !== timeZone) {
        throw new ScheduleValueError(`at(…, '${timeZone}') and timeZone: '${given}' contradict each other`);
      }
      if (typeof timeZone !== 'string') {
        throw new ScheduleValueError(
          `timeZone of at() must be the name of a time zone, such as 'Europe/Berlin', got ${shown(timeZone)}`,
        );
      }
      this.atTimeZone = Zone.of(timeZone, 'timeZone of at()').id;
    }
    return this;
  }

  /**
   * A random interval, from the one given to `every()` to this one, both inclusive, drawn anew after each run.
   *
   * @throws {@link ScheduleError} if it is shorter than that.
   */
  to(latest: number): this {
    this.requireOpen('to()');
    if (this.trigger.kind !== 'every') throw new ScheduleValueError('to() belongs to every(): every(5).to(10).seconds');
    checkInterval(latest, 'to(latest)');
    if (latest < this.interval) {
      throw new ScheduleError(
        `every(${this.interval}).to(${latest}): the second number must not be smaller than the first`,
      );
    }
    this.latest = latest;
    return this;
  }

  /**
   * The last moment at which it may run; then it is taken off the schedule. A run at that very moment still happens.
   *
   * @param deadline a point in time (Date, Temporal, `'2030-01-01 18:30'`), a duration from now (`{ hours: 2 }`, ms) or a time
   * of today (`'18:30'`). Without an offset it is meant in the job's zone.
   * @throws {@link ScheduleValueError} if it has passed or is in no known format; TypeError for anything else.
   */
  until(deadline: UntilInput): this {
    this.deadline = parseUntil(deadline, this.zone, this.now());
    const { next } = this.runner;
    if (next !== null && next > this.deadline) this.scheduler.cancelJob(this);
    return this;
  }

  /**
   * Groups: `getJobs(tag)`, `clear(tag)`, `nextRun(tag)`.
   *
   * @throws TypeError for an object: two that look alike would not be the same tag.
   */
  tag(...tags: Tag[]): this {
    for (const tag of tags) {
      if ((typeof tag === 'object' && tag !== null) || typeof tag === 'function' || tag === undefined || tag === null) {
        throw new TypeError(`tag must be a string, a number or another primitive value, got ${shown(tag)}`);
      }
    }
    for (const tag of tags) this.tags.add(tag);
    return this;
  }

  /**
   * Puts it on the schedule: `fn(...args, context)` runs as a Task at each of its times.
   *
   * @param fn the work, async or not. It is given `args` and then a {@link JobContext}. Returning {@link CancelJob} takes the
   * job off the schedule; what it throws is reported, and it stays on it.
   * @throws {@link ScheduleValueError} if the chain has no unit, or its settings contradict each other.
   */
  do<A extends unknown[]>(fn: (...args: JobArgs<A>) => unknown, ...args: A): this {
    this.requireOpen('do()');
    checkFunction(fn, 'fn');
    if (this.trigger.kind === 'every' && this.unit === null) {
      throw new ScheduleValueError(
        `every(${this.interval}).do(): the unit is missing, as in every(${this.interval}).seconds.do(fn)`,
      );
    }
    if (this.startDay !== null && this.unit !== 'weeks') {
      throw new ScheduleValueError(
        `every().${this.startDay}.${this.unit}.do(): a weekday is a unit itself. Leave one out`,
      );
    }
    this.functionName = fn.name;
    this.args = args;
    const { defaults, isFleet } = this.scheduler;
    this.policy = policyOf(this.options, defaults, isFleet);
    this.plan = this.makePlan();
    const work = fn as (...args: unknown[]) => unknown;
    this.call = args.length === 0 ? (context) => work(context) : (context) => work(...args, context);
    this.runner.moveTo(this.plan.first);
    if (this.runner.next !== null || isFleet) this.scheduler._add(this);
    return this;
  }

  get name(): string {
    return this.options.name ?? (this.functionName || '(anonymous)');
  }

  /** When it began last, or `null`. */
  get lastRun(): Date | null {
    return dateOrNull(this.runner.lastRun);
  }

  /** When it runs next; `null` if it will not, or if that depends on the end of the run that goes on. */
  get nextRun(): Date | null {
    return dateOrNull(this.runner.next);
  }

  /** What `until()` has set. */
  get cancelAfter(): Date | null {
    return dateOrNull(this.deadline);
  }

  /** Whether its time has come. */
  get shouldRun(): boolean {
    const { next } = this.runner;
    return next !== null && next <= this.now();
  }

  /** Ms between two runs of a job that counts elapsed time or days; `null` for others. */
  get period(): number | null {
    if (this.trigger.kind === 'interval') return this.trigger.ms;
    return this.trigger.kind === 'every' && this.unit !== null ? this.interval * UNIT_MS[this.unit] : null;
  }

  /**
   * The first time strictly after an instant at which its rule has it run, jitter included; `null` if there is none. It
   * neither looks at what has run nor changes anything.
   */
  nextAfter(instant: InstantInput): Date | null {
    const after = this.requirePlan('nextAfter()').recurrence.after(toInstant(instant, 'instant'));
    return after === null || (this.deadline !== null && after > this.deadline) ? null : new Date(after);
  }

  /** Its next `count` runs, as they will be if it is neither cancelled nor late. */
  preview(count: number): Date[] {
    checkCount(count, 'preview(count)', 0);
    const { recurrence } = this.requirePlan('preview()');
    const runs: Date[] = [];
    for (let at = this.runner.next; at !== null && runs.length < count; at = recurrence.after(at)) {
      if (this.deadline !== null && at > this.deadline) break;
      runs.push(new Date(at));
    }
    return runs;
  }

  /**
   * Runs it now, whatever the time is, in the current task. Its next run is then an interval from the end of this one, as
   * `do()` would have it; at the times that `at()` and cron name it runs as before. On a fleet the schedule goes on as it was.
   *
   * @returns what the function returns; `CancelJob` if `until()` leaves no time for a run, now or after this one.
   * @throws what it throws, when no retry is left.
   */
  run(): Promise<unknown> {
    this.requirePlan('run()');
    return this.runner.runNow(this.now());
  }

  /**
   * Cancels the runs that go on now, on a fleet wherever they are. The schedule stays; `cancelJob(job)` ends that.
   *
   * @returns how many runs were cancelled here.
   */
  cancel(reason?: unknown): number {
    this.scheduler._cancelElsewhere(this, reason);
    return this.runner.cancelRuns(reason);
  }

  /** How it stands: a row for `console.table`. */
  describe(): JobStatus {
    return this.runner.describe();
  }

  /** When it runs, in words. */
  rule(): string {
    return ruleOf(this, this.trigger, this.zone);
  }

  /** As Python's: `Every 1 day at 10:30:00 do job('a') (last run: [never], next run: 2026-01-01 10:30:00)`, in local time. */
  override toString(): string {
    return textOf(this, this.trigger);
  }

  /** What `console.log` shows. */
  [inspect.custom](): string {
    return this.toString();
  }

  /** @internal */
  now(): number {
    return getRunningLoop().clock.wallTime();
  }

  /** @internal */
  get owner(): Scheduler {
    return this.scheduler;
  }

  /** @internal It has run out of turn: intervals begin anew, as `do()` begins them. Times of a calendar stay what they are. */
  _planAnew(): void {
    const isInterval = this.trigger.kind === 'every' || this.trigger.kind === 'interval';
    if (!isInterval || this.scheduler.isFleet) return;
    this.plan = this.makePlan();
    this.runner.moveTo(this.plan.first);
    if (this.runner.next === null) this.scheduler.cancelJob(this);
    else this.scheduler._rearm(this);
  }

  private makePlan(): Plan {
    const { defaults, isFleet } = this.scheduler;
    const zone = () => this.zone;
    return planOf(this, this.trigger, {
      now: this.now(),
      // The machine's own takes a while to ask for, and most jobs need none.
      get zone() {
        return zone();
      },
      hasOwnZone: (this.atTimeZone ?? this.options.timeZone ?? defaults.timeZone) !== undefined,
      own: this.options,
      policy: this.policy,
      isFleet,
    });
  }

  private get zone(): Zone {
    const id = this.atTimeZone ?? this.options.timeZone ?? this.scheduler.defaults.timeZone;
    return id === undefined ? Zone.local() : Zone.of(id);
  }

  /** @internal */
  protected override requireUnit(what: string): void {
    this.requireOpen(what);
    if (this.trigger.kind !== 'every') throw new ScheduleValueError(`${what} belongs to every(): every(2)${what}`);
  }

  private requireOpen(what: string): void {
    if (this.plan === null) return;
    throw new ScheduleError(`${what} after do(): '${this.rule()}' is on the schedule. do() ends the chain`);
  }

  private requirePlan(what: string): Plan {
    if (this.plan === null) throw new ScheduleError(`${what} before do(): the job is not on the schedule yet`);
    return this.plan;
  }
}

/** @internal */
export function checkInterval(value: unknown, name: string): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${shown(value)}`);
  if (!(value > 0) || value === Infinity) throw new IntervalError(`${name} must be a number above 0, got ${value}`);
}

/** @internal */
export function checkPeriod(value: unknown, name: string): void {
  checkMs(value, name, 1);
  if (value === Infinity) throw new RangeError(`${name} must be finite, got Infinity`);
}

function dateOrNull(instant: number | null): Date | null {
  return instant === null ? null : new Date(instant);
}
