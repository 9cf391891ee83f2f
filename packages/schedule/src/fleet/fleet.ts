/**
 * The same schedule on many machines.
 *
 *   planning     every instance computes each job's next occurrence and puts it into the engine, under an id that is the
 *                same everywhere; the engine drops the duplicates. A repair pass puts it in again now and then: what the
 *                engine lost, or could not take, is there again.
 *   running      the engine hands an occurrence to one instance. That one applies the misfire and overlap policies, with
 *                what is in the engine in place of what is in the process.
 *   deploying    schedules are declared in code, so two versions of it meet. The rule of the instance that began last
 *                holds: others stop planning, and what they had planned does not run unless the new rule has it, too.
 *
 * The last instance to begin decides, since a rolling deploy begins the new ones last. An engine's own repeating jobs
 * (BullMQ's schedulers, pg-boss's cron) are not used: their chain ends when one link fails, or is a minute coarse.
 */
import {
  createTask,
  currentTask,
  type EventLoop,
  Future,
  getRunningLoop,
  InvalidStateError,
  isCancelled,
  rethrowCancelled,
  sleep,
  type Task,
  type TaskGroup,
  type TimerHandle,
  taskGroup,
  timeout,
  until,
} from '@aiokit/core';
import { chooseDue } from '../due.ts';
import type { Job } from '../job.ts';
import { type Engine, type HandedOut, type Occurrence, RETIRED, type Verdict } from './engine.ts';

/** How often to put the next occurrences in again, and to look whether the rules still hold, in ms. */
const REPAIR_EVERY = 5_000;
/** How often to look for cancels and for the runs ahead, in ms. */
const LOOK_EVERY = 250;
/** An occurrence that no instance knows the job of, or the rule, is passed on for this long, in ms; then it is dropped. */
const ORPHANED_AFTER = 60_000;
/** At most this many occurrences are put in at once: after a long time without an engine. */
const MOST_PLANNED = 1_000;

/** An occurrence that is handed out this many ms after its time is on time. */
const SLACK = 250;
/** How long the engine's connection may take to end, in ms. */
const CLOSE_WITHIN = 5_000;

interface Planned {
  /** The last occurrence that was put in; `null` before the first. */
  last: number | null;
  timer: TimerHandle | null;
  declared: boolean;
}

export class Fleet {
  private readonly loop: EventLoop = getRunningLoop();
  private readonly engine: Engine;
  /** The engine's answers. A cancel does not wait for them: an engine that is away would hold up the shutdown. */
  private readonly ask: Questions;
  private readonly jobs = new Map<string, Job>();
  private readonly planned = new Map<Job, Planned>();
  /** Set when it knows its jobs and the engine's clock: the engine hands out as soon as it is open. */
  private readonly ready = new Future<void>();
  private readonly ended = new Future<void>();
  private readonly startedAt = this.loop.clock.wallTime();
  /** What goes on here, by the name of the job. */
  readonly tasks = new Map<Task<unknown>, string>();
  /** By how many ms the engine's clock is ahead of this machine's. */
  private offset = 0;
  private group: TaskGroup | null = null;
  private closing = false;
  private errorShown = '';

  constructor(engine: Engine) {
    this.engine = engine;
    this.ask = {
      enqueue: (...args) => until(engine.enqueue(...args)),
      ahead: (...args) => until(engine.ahead(...args)),
      declare: (...args) => until(engine.declare(...args)),
      state: (...args) => until(engine.state(...args)),
      takeMissed: (...args) => until(engine.takeMissed(...args)),
      addMissed: (...args) => until(engine.addMissed(...args)),
      requestCancel: (...args) => until(engine.requestCancel(...args)),
      now: () => until(engine.now()),
    };
  }

  /** Until `close()`, or a cancel, which cancels the runs here and gives their occurrences back. */
  async run(jobs: Iterable<Job>): Promise<void> {
    try {
      await taskGroup(
        async (group) => {
          this.group = group;
          try {
            await until(this.engine.open((occurrence) => this.take(occurrence), this.tell));
            await this.compareClocks();
            for (const job of jobs) this.arm(job);
            this.ready.setResult();
            const repairs = group.createTask(() => this.repair(), { name: 'schedule repair' });
            await this.ended;
            repairs.cancel();
          } finally {
            this.close();
          }
        },
        { name: 'schedule fleet' },
      );
    } finally {
      this.group = null;
      // An engine that is away does not say goodbye.
      await timeout(CLOSE_WITHIN, () => until(this.engine.close())).catch(ignoreUnlessCancelled);
    }
  }

  close(): void {
    this.closing = true;
    this.engine.pause();
    for (const { timer } of this.planned.values()) timer?.cancel();
    if (!this.ended.done()) this.ended.setResult();
  }

  arm(job: Job): void {
    if (this.closing || this.group === null) return;
    this.jobs.set(job.name, job);
    if (!this.planned.has(job)) {
      this.planned.set(job, { last: null, timer: null, declared: false });
      this.planSoon(job);
    }
  }

  disarm(job: Job): void {
    this.planned.get(job)?.timer?.cancel();
    this.planned.delete(job);
    if (this.jobs.get(job.name) === job) this.jobs.delete(job.name);
  }

  /** Ends the job on every instance. */
  async retire(job: Job): Promise<void> {
    await this.ask.declare(job.name, RETIRED + ruleOf(job));
  }

  async cancelElsewhere(job: Job, reason: unknown): Promise<void> {
    await this.ask.requestCancel(job.name, reason === undefined ? '' : String(reason));
  }

  private planSoon(job: Job): void {
    const state = this.planned.get(job);
    if (state === undefined || this.closing) return;
    try {
      this.group?.createTask(() => this.plan(job, state), { name: `plan ${job.name}` });
    } catch (error) {
      if (!(error instanceof InvalidStateError)) throw error; // The group is being cancelled.
    }
  }

  /** Puts in what has not been, up to one occurrence in the future. */
  private async plan(job: Job, state: Planned): Promise<void> {
    try {
      if (!state.declared) {
        await this.ask.declare(job.name, ruleOf(job));
        state.declared = true;
      }
      const { rule } = await this.ask.state(job.name);
      if (rule?.startsWith(RETIRED)) return job.owner.cancelJob(job);
      if (rule !== ruleOf(job)) return; // Another version of the code holds now; the repair pass looks again.
      const occurrences = this.missingFrom(job, state.last);
      if (occurrences.length === 0) return job.runner.moveTo(null);
      await this.ask.enqueue(occurrences, job.policy.grace);
      const last = occurrences.at(-1) as Occurrence;
      state.last = last.at;
      job.runner.moveTo(last.at);
      this.wakeAt(job, state, last.at);
    } catch (error) {
      if (isCancelled(error)) throw error;
      this.tell(error); // The repair pass tries again.
    }
  }

  /**
   * From the last one that is in the engine (once more, in case it is not), or what was next when the job was declared, to
   * the first in the future.
   */
  private missingFrom(job: Job, last: number | null): Occurrence[] {
    const { recurrence } = job.plan as NonNullable<Job['plan']>;
    const now = this.loop.clock.wallTime();
    const found: Occurrence[] = [];
    let at = last ?? job.runner.next ?? recurrence.after(now);
    while (at !== null && found.length < MOST_PLANNED) {
      if (job.deadline === null || at <= job.deadline) found.push({ job: job.name, at, rule: ruleOf(job) });
      if (at > now) break;
      at = recurrence.after(at);
    }
    return found;
  }

  private wakeAt(job: Job, state: Planned, instant: number): void {
    if (this.closing) return;
    state.timer?.cancel();
    const { clock } = this.loop;
    const wait = Math.max(1, instant - clock.wallTime());
    state.timer = this.loop.callAt(clock.now() + wait, () => this.planSoon(job));
  }

  private async repair(): Promise<void> {
    for (;;) {
      await sleep(REPAIR_EVERY);
      await this.compareClocks();
      for (const job of this.planned.keys()) this.planSoon(job);
    }
  }

  private async compareClocks(): Promise<void> {
    const { clock } = this.loop;
    try {
      const before = clock.wallTime();
      const there = await this.ask.now();
      this.offset = Math.round(there - (before + clock.wallTime()) / 2);
    } catch (error) {
      rethrowCancelled(error);
      this.tell(error);
    }
  }

  /** By the clock that all instances share. */
  private engineTime(): number {
    return this.loop.clock.wallTime() + this.offset;
  }

  /** One occurrence has been handed to this instance. */
  private async take(occurrence: HandedOut): Promise<Verdict> {
    let task: Task<Verdict>;
    try {
      if (this.group === null || this.closing) return 'giveBack';
      task = this.group.createTask(() => this.decide(occurrence), { name: occurrence.job });
    } catch {
      return 'giveBack'; // The group is being cancelled.
    }
    this.tasks.set(task, occurrence.job);
    const onLost = () => task.cancel('the engine has given the run to another instance');
    occurrence.lost.addEventListener('abort', onLost, { once: true });
    try {
      return await task;
    } catch {
      // Cancelled. By the shutdown: another instance is to have it. Otherwise that was the wish.
      return this.closing ? 'giveBack' : 'finished';
    } finally {
      this.tasks.delete(task);
      occurrence.lost.removeEventListener('abort', onLost);
    }
  }

  private async decide(occurrence: HandedOut): Promise<Verdict> {
    try {
      await this.ready;
      const job = this.jobs.get(occurrence.job);
      const { rule, missed, cancels } = await this.ask.takeMissed(occurrence.job);
      const standing = this.standing(occurrence, job, rule);
      if (job !== undefined && standing === 'run') return await this.runOrSkip(occurrence, job, missed, cancels);
      if (missed > 0) await this.ask.addMissed(occurrence.job, missed);
      return standing === 'drop' ? 'finished' : 'giveBack';
    } catch (error) {
      if (isCancelled(error)) throw error;
      this.tell(error); // The engine did not answer: it will hand it out again.
      return 'giveBack';
    }
  }

  /** Whether this occurrence is still one, when versions of the code differ. */
  private standing(occurrence: HandedOut, job: Job | undefined, rule: string | null): 'run' | 'drop' | 'pass on' {
    if (rule?.startsWith(RETIRED)) return 'drop';
    const isOld = this.engineTime() - occurrence.at > ORPHANED_AFTER;
    if (job === undefined) return isOld ? 'drop' : 'pass on';
    if (occurrence.rule === rule) return 'run';
    if (ruleOf(job) === rule) return isOccurrence(job, occurrence.at) ? 'run' : 'drop';
    return isOld ? 'drop' : 'pass on';
  }

  /** The misfire policy, then the overlap policy. One that was handed out before has begun already: it runs, whatever. */
  private async runOrSkip(occurrence: HandedOut, job: Job, missed: number, cancels: number): Promise<Verdict> {
    const { at, redeliveries } = occurrence;
    const isRedelivered = redeliveries > 0;
    // An instance whose clock is fast is handed it early; what is late by the difference of the clocks is on time.
    const tolerance = Math.abs(this.offset) + SLACK;
    if (at > this.engineTime()) await sleep(Math.min(at - this.engineTime(), tolerance));
    const now = Math.max(at, this.engineTime());
    const { due, last } = chooseDue(job, at, now, 0);
    const later = due.filter(({ scheduledFor }) => scheduledFor > at);
    if (later.length > 0) await this.ask.enqueue(occurrencesOf(job, later), job.policy.grace);
    const inTime = chooseDue(job, at, Math.max(at, now - tolerance), 0).due;
    if (!isRedelivered && !inTime.some(({ scheduledFor }) => scheduledFor === at)) {
      return await this.leaveOut(job, missed + 1 + this.neverPlanned(job, at, later[0]?.scheduledFor ?? last));
    }
    const baseline = await this.makeWay(occurrence, job, isRedelivered, cancels);
    if (baseline === null) return await this.leaveOut(job, missed + 1);
    const stopWatching = this.watchForCancel(job, baseline);
    try {
      await job.runner.runHandedOut({ scheduledFor: at, missedCount: missed, attemptsBefore: redeliveries });
    } finally {
      stopWatching();
    }
    return 'finished';
  }

  /** Resolves when nothing of the job goes on before this one, to how many cancels do not concern it; to `null` if it is skipped. */
  private async makeWay(
    occurrence: HandedOut,
    job: Job,
    isRedelivered: boolean,
    cancels: number,
  ): Promise<number | null> {
    const { overlap, queueLimit } = job.policy;
    if (overlap === 'concurrent') return cancels;
    let ahead = await this.ask.ahead(occurrence);
    if (ahead === 0) return cancels;
    if (overlap === 'skip' && !isRedelivered) return null;
    if (overlap === 'queue' && ahead > queueLimit) return null;
    const baseline = overlap === 'cancel' ? await this.ask.requestCancel(job.name, 'its next run is due') : cancels;
    while (ahead > 0) {
      await sleep(LOOK_EVERY);
      ahead = await this.ask.ahead(occurrence);
      if (overlap === 'cancel' && (await this.ask.state(job.name)).cancels > baseline) return null; // A newer one waits.
    }
    return baseline;
  }

  private async leaveOut(job: Job, missed: number): Promise<Verdict> {
    await this.ask.addMissed(job.name, missed);
    job.runner.countMissed(1);
    return 'finished';
  }

  /** Between these two, those whose time went by before this instance began: nobody was there to put them in. */
  private neverPlanned(job: Job, after: number, before: number): number {
    const { recurrence } = job.plan as NonNullable<Job['plan']>;
    let count = 0;
    let at = recurrence.after(after);
    for (; at !== null && at < Math.min(before, this.startedAt) && count < MOST_PLANNED; at = recurrence.after(at))
      count++;
    return count;
  }

  /** `cancel()` may be called on any instance; the count of calls lies in the engine. */
  private watchForCancel(job: Job, baseline: number): () => void {
    const running = currentTask();
    const watcher = createTask(
      async () => {
        for (;;) {
          await sleep(LOOK_EVERY);
          const state = await this.ask.state(job.name).catch(ignoreUnlessCancelled);
          if (state !== null && state.cancels > baseline) return void running?.cancel(state.cancelReason);
        }
      },
      { name: `watch ${job.name}` },
    );
    return () => watcher.cancel();
  }

  /** Once per message: an engine that is away says so every second. */
  private readonly tell = (error: unknown): void => {
    const text = String((error as Error)?.message ?? error);
    if (this.closing || text === this.errorShown) return;
    this.errorShown = text;
    this.loop.callExceptionHandler({ message: 'The engine of a fleet of schedulers failed', exception: error });
  };
}

type Questions = Omit<Engine, 'open' | 'pause' | 'close'>;

function ignoreUnlessCancelled(error: unknown): null {
  rethrowCancelled(error);
  return null;
}

/** When a job runs, as text: two versions of the code mean the same if it is equal. */
function ruleOf(job: Job): string {
  const { gap, fold, jitter, seed } = job.policy;
  return [job.rule(), gap, fold, jitter, seed, job.deadline].map((part) => part ?? '').join('|');
}

function isOccurrence(job: Job, at: number): boolean {
  return job.plan?.recurrence.after(at - 1) === at;
}

function occurrencesOf(job: Job, due: readonly { scheduledFor: number }[]): Occurrence[] {
  return due.map(({ scheduledFor }) => ({ job: job.name, at: scheduledFor, rule: ruleOf(job) }));
}
