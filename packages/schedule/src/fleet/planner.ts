/**
 * Puts each job's next occurrence into the engine. All instances do, under the same ids; the engine drops the duplicates.
 * What it lost, or could not take, is put in again by a repair pass.
 */
import {
  type EventLoop,
  InvalidStateError,
  isCancelled,
  type Task,
  type TaskGroup,
  type TimerHandle,
} from '@aiokit/core';
import type { Job } from '../job.ts';
import { type Occurrence, RETIRED, type Requests } from './engine.ts';
import { occurrenceAfter, occurrencesOf, ruleOf } from './rule.ts';

/** At most this many occurrences are put in at once: after a long time without an engine. */
const MOST_PLANNED = 1_000;
/** Nobody who goes by the rule in force has been heard of for this long, in ms: it is nobody's, and another takes its place. */
const RULE_KEPT = 20_000;

interface Planned {
  /** The last occurrence that was put in; `null` before the first. */
  last: number | null;
  timer: TimerHandle | null;
  declared: boolean;
}

/** Jobs that a fleet has planned before: what has passed since then is not theirs to put in, it was or was not by then. */
const knownToEngines = new WeakSet<Job>();

export class Planner {
  private readonly loop: EventLoop;
  private readonly requests: Requests;
  private readonly group: TaskGroup;
  private readonly onError: (error: unknown) => void;
  private readonly planned = new Map<Job, Planned>();
  private readonly tasks = new Set<Task<void>>();
  private closing = false;

  constructor(loop: EventLoop, requests: Requests, group: TaskGroup, onError: (error: unknown) => void) {
    this.loop = loop;
    this.requests = requests;
    this.group = group;
    this.onError = onError;
  }

  add(job: Job): void {
    if (this.planned.has(job)) return;
    this.planned.set(job, { last: null, timer: null, declared: false });
    this.planSoon(job);
  }

  remove(job: Job): void {
    this.planned.get(job)?.timer?.cancel();
    this.planned.delete(job);
  }

  /** Puts the next occurrences in again, and looks whether the rules still hold. */
  repair(): void {
    for (const job of this.planned.keys()) this.planSoon(job);
  }

  close(): void {
    this.closing = true;
    for (const { timer } of this.planned.values()) timer?.cancel();
    // An engine that is away would keep them waiting.
    for (const task of this.tasks) task.cancel();
  }

  private planSoon(job: Job): void {
    const state = this.planned.get(job);
    if (state === undefined || this.closing) return;
    try {
      const task = this.group.createTask(() => this.plan(job, state), { name: `plan ${job.name}` });
      this.tasks.add(task);
      task.addDoneCallback(() => this.tasks.delete(task));
    } catch (error) {
      if (!(error instanceof InvalidStateError)) throw error; // The group is being cancelled.
    }
  }

  /** Puts in what has not been, up to one occurrence in the future. */
  private async plan(job: Job, state: Planned): Promise<void> {
    const own = ruleOf(job);
    try {
      if (!state.declared) await this.requests.declare(job.name, own);
      state.declared = true;
      const { rule } = await this.requests.uphold(job.name, own, RULE_KEPT);
      // Somebody has emptied the engine: the repair pass declares it anew.
      state.declared = rule !== null;
      if (rule === RETIRED + own) return job.owner.cancelJob(job);
      // Another version of the code holds now; the repair pass looks again.
      if (rule !== own) return job.runner.moveTo(null);
      const occurrences = this.isOver(job, state.last) ? [] : this.missingFrom(job, state.last);
      if (occurrences.length === 0) return job.runner.moveTo(null);
      await this.requests.enqueue(occurrences, job.policy.grace);
      const last = (occurrences.at(-1) as Occurrence).at;
      state.last = last;
      knownToEngines.add(job);
      const isLast = occurrenceAfter(job, last).length === 0;
      job.runner.moveTo(isLast && last <= this.loop.clock.wallTime() ? null : last);
      if (job.runner.next !== null) this.wakeAt(job, state, last);
    } catch (error) {
      if (isCancelled(error)) throw error;
      this.onError(error); // The repair pass tries again.
    }
  }

  /**
   * From the last one that is in the engine (once more, in case it is not), or what was next when the job was declared, to
   * the first in the future.
   */
  private missingFrom(job: Job, last: number | null): Occurrence[] {
    const { recurrence } = job.plan as NonNullable<Job['plan']>;
    const now = this.loop.clock.wallTime();
    const found: number[] = [];
    const first = knownToEngines.has(job) ? null : job.runner.next;
    let at = last ?? first ?? recurrence.after(now);
    while (at !== null && found.length < MOST_PLANNED) {
      if (job.deadline === null || at <= job.deadline) found.push(at);
      if (at > now) break;
      at = recurrence.after(at);
    }
    return occurrencesOf(job, found);
  }

  /** Nothing comes after its last one, and for that it is too late, too. */
  private isOver(job: Job, last: number | null): boolean {
    if (last === null || occurrenceAfter(job, last).length > 0) return false;
    return last + job.policy.grace < this.loop.clock.wallTime();
  }

  private wakeAt(job: Job, state: Planned, instant: number): void {
    if (this.closing) return;
    state.timer?.cancel();
    const { clock } = this.loop;
    const wait = Math.max(1, instant - clock.wallTime());
    state.timer = this.loop.callAt(clock.now() + wait, () => this.planSoon(job));
  }
}
