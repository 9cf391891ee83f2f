import { createTask, detached, getRunningLoop, InvalidStateError, sleep, taskGroup } from '@aiokit/core';
import { checkMs, checkOptions, shown } from './check.ts';
import type { ClockStep } from './clock-watch.ts';
import { ScheduleError, ScheduleValueError } from './errors.ts';
import type { Backend } from './fleet/engine.ts';
import { Fleet } from './fleet/fleet.ts';
import { requireSharable } from './fleet/sharable.ts';
import { checkInterval, checkPeriod, Job, type JobArgs, type Tag } from './job.ts';
import { checkJobOptions, type JobOptions } from './job-options.ts';
import type { Runs } from './job-runner.ts';
import type { JobStatus } from './job-status.ts';
import { Live } from './live.ts';
import { checkStopOptions, type StopOptions, type StopReport, stopRuns } from './stopping.ts';
import { CronPattern } from './time/cron-pattern.ts';
import { type InstantInput, type PlainInput, toInstantIn } from './time/instant.ts';
import { Zone } from './time/zone.ts';
import { traceClockStep } from './trace.ts';

export interface SchedulerOptions extends Omit<JobOptions, 'name' | 'seed'> {
  /** Shares the schedule with other instances: `bullmq({ … })`, `pgBoss({ … })`. Default: this process alone. */
  backend?: Backend | undefined;
  /** Is told when the wall clock was set, or the machine has slept. Default: a warning of the process. */
  onClockStep?: ((step: ClockStep) => void) | undefined;
}

/**
 * A schedule: jobs, and when they run. The module's own functions (`every`, `runForever`, …) are those of one that is
 * always there, `defaultScheduler`.
 *
 * @example
 * ```ts
 * const scheduler = new Scheduler({ timeZone: 'Europe/Berlin' });
 * scheduler.every().day.at('10:30').do(sendReport);
 * scheduler.cron('0 9 * * mon-fri').do(wakeUp);
 * await taskGroup(async (group) => {
 *   group.createTask(() => scheduler.runForever());
 *   group.createTask(() => serveRequests());
 * });
 * ```
 *
 * @see https://schedule.readthedocs.io/en/stable/reference.html#schedule.Scheduler
 */
export class Scheduler implements AsyncDisposable {
  /** @internal What holds for each job that does not say otherwise. */
  readonly defaults: JobOptions;
  private readonly all = new Set<Job>();
  private readonly onClockStep: (step: ClockStep) => void;
  private readonly backend: Backend | null;
  private live: Live | Fleet | null = null;
  /** Settles when all of it has ended, connections of a backend included. */
  private running: Promise<void> = Promise.resolve();

  constructor(options: SchedulerOptions = {}) {
    checkOptions(options, 'options', SCHEDULER_OPTIONS);
    const { onClockStep, backend, ...defaults } = options;
    this.backend = backend ?? null;
    this.defaults = { ...checkJobOptions(defaults) };
    if (defaults.timeZone !== undefined) Zone.of(defaults.timeZone, 'options.timeZone');
    this.onClockStep = onClockStep ?? warnOfClockStep;
  }

  /** @internal */
  get isFleet(): boolean {
    return this.backend !== null;
  }

  /** The jobs, in the order in which they were put on the schedule. A copy. */
  get jobs(): Job[] {
    return [...this.all];
  }

  /**
   * Begins a job by interval: `every(10).minutes.do(job)`, `every().monday.at('09:00').do(job)`.
   *
   * @param interval how many of the unit that follows.
   * @throws TypeError, {@link IntervalError}
   */
  every(interval = 1, options?: JobOptions): Job {
    checkInterval(interval, 'every(interval)');
    return new Job(this, { kind: 'every' }, interval, checkJobOptions(options));
  }

  /**
   * Begins a job by a cron expression: five fields, or six with seconds in front. L, W and # are understood, and names.
   *
   * @throws {@link ScheduleValueError} if it is none.
   * @see https://croner.56k.guru/usage/pattern/
   */
  cron(pattern: string, options?: JobOptions): Job {
    const trigger = { kind: 'cron', pattern: CronPattern.of(pattern), text: pattern } as const;
    return new Job(this, trigger, 1, checkJobOptions(options));
  }

  /**
   * Begins a job that runs once.
   *
   * @param at Date, Temporal, ms since 1970, or a text; without an offset it is meant in the job's zone.
   * @throws {@link ScheduleValueError} if it has passed.
   */
  once(at: InstantInput | PlainInput | string, options?: JobOptions): Job {
    const checked = checkJobOptions(options);
    const zone = checked.timeZone ?? this.defaults.timeZone;
    const instant = toInstantIn(zone === undefined ? Zone.local() : Zone.of(zone), at, 'once(at)');
    if (instant < getRunningLoop().clock.wallTime() && !this.isFleet) {
      throw new ScheduleValueError(`once(at) must be in the future, got ${shown(at)}`);
    }
    return new Job(this, { kind: 'once', at: instant }, 1, checked);
  }

  /** Begins a job that runs every `ms` milliseconds of elapsed time. */
  interval(ms: number, options?: JobOptions): Job {
    checkPeriod(ms, 'interval(ms)');
    return new Job(this, { kind: 'interval', ms }, 1, checkJobOptions(options));
  }

  /**
   * As `job.do(fn, ...args)`, and gives the function back: for where it is defined.
   *
   * @example
   * ```ts
   * const beat = repeat(every().minute)(() => console.log('still here'));
   * ```
   */
  repeat<A extends unknown[]>(job: Job, ...args: A): <F extends (...args: JobArgs<A>) => unknown>(fn: F) => F {
    return (fn) => {
      job.do(fn, ...args);
      return fn;
    };
  }

  /** The jobs with this tag; all of them without one. */
  getJobs(tag?: Tag | null): Job[] {
    return tag === undefined || tag === null ? this.jobs : this.jobs.filter((job) => job.tags.has(tag));
  }

  /** Takes the jobs with this tag off the schedule; all of them without one. Runs that go on are left alone. */
  clear(tag?: Tag | null): void {
    for (const job of this.getJobs(tag)) this.cancelJob(job);
  }

  /** Takes one job off the schedule. A run that goes on is left alone (`job.cancel()` ends it). An unknown job is ignored. */
  cancelJob(job: Job): void {
    if (!this.all.delete(job)) return;
    this.live?.disarm(job);
    job.runner.clearQueue();
  }

  /** When the first of the jobs (with this tag) runs next; `null` if none will. */
  nextRun(tag?: Tag | null): Date | null {
    let first: number | null = null;
    for (const { runner } of tag === undefined || tag === null ? this.all : this.getJobs(tag)) {
      if (runner.next !== null) first = Math.min(first ?? Infinity, runner.next);
    }
    return first === null ? null : new Date(first);
  }

  /** How many ms until then; below 0 if it is late, `null` if nothing will run. */
  idle(tag?: Tag | null): number | null {
    const next = this.nextRun(tag);
    return next === null ? null : next.getTime() - getRunningLoop().clock.wallTime();
  }

  /**
   * Runs every job whose time has come, the longest due first, side by side, and waits until they have ended. Failures are
   * reported, not thrown. For a loop of one's own; `runForever()` needs none, and keeps a slow job from delaying the others.
   */
  async runPending(): Promise<void> {
    if (this.isFleet) {
      throw new ScheduleError(
        'runPending() of a scheduler with a backend: the engine says what runs. Take runForever()',
      );
    }
    const now = getRunningLoop().clock.wallTime();
    const due = this.jobs.filter((job) => job.shouldRun);
    due.sort((a, b) => (a.runner.next as number) - (b.runner.next as number));
    await taskGroup((group) => {
      const runs: Runs = {
        start: (fn, name) => {
          group.createTask(fn, { name, eager: true });
          return true;
        },
        enter: () => {},
        leave: () => {},
      };
      for (const job of due) {
        const stays = job.runner.runDue(now, runs);
        if (!stays) this.cancelJob(job);
      }
    });
  }

  /**
   * Runs every job now, one after the other, whether its time has come or not. Failures are reported, not thrown.
   *
   * @param delay ms between two of them.
   */
  async runAll(delay = 0): Promise<void> {
    checkMs(delay, 'delay');
    let isFirst = true;
    for (const job of this.jobs) {
      if (!isFirst && delay > 0) await sleep(delay);
      isFirst = false;
      // In a group: a cancel of the job is not one of runAll, but one of runAll is one of the job.
      await taskGroup((group) => void group.createTask(() => job.runner.runReported(job.now()), { name: job.name }));
    }
  }

  /**
   * Runs the jobs at their times, each as a Task, until it is cancelled; then what runs is cancelled, too, and awaited.
   * Without jobs it waits for some.
   *
   * @throws InvalidStateError if it runs already.
   */
  async runForever(): Promise<void> {
    this.requireIdle('runForever()');
    const live = this.backend === null ? this.alone() : new Fleet(this.backend.connect());
    this.live = live;
    try {
      this.running = live.run(this.all);
      await this.running;
    } finally {
      if (this.live === live) this.live = null;
      for (const job of this.all) job.runner.clearQueue();
    }
  }

  /**
   * As {@link runForever}, in the background: for programs that have no task group. It is not bound to the task that calls
   * it; `stop()` ends it, and so does the end of `run()`.
   */
  start(): this {
    this.requireIdle('start()');
    const task = detached(() => createTask(() => this.runForever(), { name: 'schedule', eager: true }));
    task.catch((exception) => {
      if (task.cancelled()) return;
      task.loop.callExceptionHandler({ message: 'The schedule ended with an error', exception, task });
    });
    return this;
  }

  /**
   * Nothing begins any more; what runs may end by itself for `drain` ms, then it is cancelled. Never throws, and never waits
   * longer than `drain + cancelGrace`.
   *
   * @returns who ended how, and who did not.
   */
  async stop(options: StopOptions = {}): Promise<StopReport> {
    const { drain, cancelGrace } = checkStopOptions(options);
    const { live } = this;
    live?.close();
    this.live = null;
    for (const job of this.all) job.runner.clearQueue();
    // A run that calls this in its first step becomes one of the tasks when that is over.
    await Promise.resolve();
    return await stopRuns(new Map(live?.tasks), this.running, drain, cancelGrace);
  }

  /** How each job stands: rows for `console.table`. */
  describe(): JobStatus[] {
    return this.jobs.map((job) => job.describe());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop().then(() => undefined);
  }

  /** @internal */
  _add(job: Job): void {
    if (this.backend !== null) requireSharable(job, this.all, this.backend);
    this.all.add(job);
    this.live?.arm(job);
  }

  /** @internal The job's next occurrence is another now. */
  _rearm(job: Job): void {
    if (this.all.has(job)) this.live?.arm(job);
  }

  /** @internal A run has returned `CancelJob`: on a fleet that holds for all instances. */
  _retire(job: Job): void {
    if (this.live instanceof Fleet) this.live.retire(job).catch(reportEngineError);
    this.cancelJob(job);
  }

  /** @internal */
  _cancelElsewhere(job: Job, reason: unknown): void {
    if (this.live instanceof Fleet) this.live.cancelElsewhere(job, reason).catch(reportEngineError);
  }

  private alone(): Live {
    return new Live(
      (job) => this.cancelJob(job),
      (step) => {
        traceClockStep(step);
        try {
          this.onClockStep(step);
        } catch (exception) {
          getRunningLoop().callExceptionHandler({ message: 'onClockStep failed', exception });
        }
      },
    );
  }

  private requireIdle(what: string): void {
    if (this.live === null) return;
    throw new InvalidStateError(`${what} of a scheduler that runs already: each job would run twice`);
  }
}

const SCHEDULER_OPTIONS = [
  'timeZone',
  'gap',
  'fold',
  'overlap',
  'queueLimit',
  'misfire',
  'grace',
  'mode',
  'jitter',
  'timeout',
  'retry',
  'onError',
  'onClockStep',
  'backend',
] as const satisfies readonly (keyof SchedulerOptions)[];

function reportEngineError(exception: unknown): void {
  getRunningLoop().callExceptionHandler({ message: 'The engine of a fleet of schedulers failed', exception });
}

function warnOfClockStep({ by }: ClockStep): void {
  const what = by > 0 ? 'forward (or the machine slept)' : 'back';
  process.emitWarning(`The wall clock went ${what} by ${Math.abs(by)} ms`, {
    code: 'AIOKIT_CLOCK_STEP',
    type: 'AiokitWarning',
  });
}
