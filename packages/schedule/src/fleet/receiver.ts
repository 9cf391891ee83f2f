/**
 * What becomes of an occurrence that the engine hands to this instance: whether it still is one, the misfire policy, the
 * overlap policy, the run. As in one process, with what is in the engine in place of what is in the process.
 *
 * What runs, or waits for its turn, stands in a line that all instances see. Whose instance died or was shut down keeps its
 * place: as long as it is not over it goes on, as far as the others are concerned, and is begun again by the instance that
 * has it next, whatever the time is. Only one that a newer one has cancelled meanwhile is over.
 */
import {
  createTask,
  currentTask,
  type EventLoop,
  Future,
  isCancelled,
  Lock,
  rethrowCancelled,
  sleep,
  type Task,
} from '@aiokit/core';
import { chooseDue, type Due } from '../due.ts';
import type { Job } from '../job.ts';
import { type HandedOut, RETIRED, type Requests, type SharedState, type Verdict } from './engine.ts';
import type { EngineClock } from './engine-clock.ts';
import { isOccurrence, occurrenceAfter, occurrencesOf, ruleOf } from './rule.ts';

/** How often to look for cancels and for the runs ahead, in ms. */
const LOOK_EVERY = 250;
/** How long to trust what the clocks say of one that was handed out early, in ms. */
const LONGEST_WAIT = 1_000;
/** An occurrence that no instance knows the job of, or the rule, is passed on for this long, in ms; then it is dropped. */
const ORPHANED_AFTER = 60_000;
/** An occurrence that is handed out this many ms after its time is on time. */
const SLACK = 250;
/** Counting goes no further. */
const MOST_COUNTED = 1_000;

/** In the line of its job. */
interface Place {
  readonly ahead: number[];
  readonly behind: number[];
  /** Of how many missed ones its run is told. */
  readonly missed: number;
}

/** It is to run, when those ahead of it are over. */
interface Turn {
  readonly job: Job;
  readonly place: Place;
  /** How many cancels do not concern it. */
  readonly cancels: number;
}

export class Receiver {
  /** Set when this instance knows its jobs and the engine's clock: the engine hands out as soon as it is open. */
  readonly ready = new Future<void>();
  readonly jobs = new Map<string, Job>();
  /** Of those that were handed out, those that wait until they may begin. */
  private readonly idle = new Set<Task<unknown>>();
  private closing = false;
  /** By the name of the job: one decision at a time. */
  private readonly locks = new Map<string, Lock>();
  private readonly loop: EventLoop;
  private readonly requests: Requests;
  private readonly clock: EngineClock;
  private readonly onError: (error: unknown) => void;
  private readonly startedAt: number;

  constructor(loop: EventLoop, requests: Requests, clock: EngineClock, onError: (error: unknown) => void) {
    this.loop = loop;
    this.requests = requests;
    this.clock = clock;
    this.onError = onError;
    this.startedAt = loop.clock.wallTime();
  }

  /** In a task of its own. Throws nothing but its cancel. */
  async receive(occurrence: HandedOut): Promise<Verdict> {
    try {
      await this.idly(async () => {
        await this.ready;
        await this.untilDue(occurrence.at);
      });
      // What is left out is counted before the next one asks how many were.
      const decision = await this.inTurn(occurrence.job, () => this.decide(occurrence));
      return typeof decision === 'string' ? decision : await this.waitAndRun(occurrence, decision);
    } catch (error) {
      if (isCancelled(error)) throw error;
      this.onError(error); // The engine did not answer: it will hand it out again.
      return 'giveBack';
    }
  }

  /** Nothing begins any more. Returns those that wait, for a shutdown to give back. */
  close(): Task<unknown>[] {
    this.closing = true;
    return [...this.idle];
  }

  /** Waits, as long as the instance is not shut down. */
  private async idly(wait: () => Promise<void>): Promise<void> {
    const task = currentTask() as Task<unknown>;
    this.idle.add(task);
    try {
      await wait();
    } finally {
      this.idle.delete(task);
    }
  }

  /** An instance whose clock is fast has occurrences handed out early, to any other. */
  private async untilDue(at: number): Promise<void> {
    for (let wait = at - this.clock.now(); wait > 0; wait = at - this.clock.now()) {
      await sleep(Math.min(wait, LONGEST_WAIT));
    }
  }

  private async inTurn<R>(job: string, decide: () => Promise<R>): Promise<R> {
    const lock = this.locks.get(job) ?? new Lock();
    this.locks.set(job, lock);
    await lock.acquire();
    try {
      return await decide();
    } finally {
      lock.release();
    }
  }

  private async decide(occurrence: HandedOut): Promise<Verdict | Turn> {
    const job = this.jobs.get(occurrence.job);
    const state = await this.requests.state(occurrence.job);
    const standing = this.standing(occurrence, job, state.rule);
    if (job !== undefined && standing === 'run') return await this.runOrSkip(occurrence, job, state);
    return standing === 'drop' ? 'finished' : 'giveBack';
  }

  /** Whether this occurrence is still one, when versions of the code differ. */
  private standing({ at, rule }: HandedOut, job: Job | undefined, inForce: string | null): 'run' | 'drop' | 'pass on' {
    if (inForce === RETIRED + rule) return 'drop';
    // One that has just begun may yet hear of the job, or of its rule.
    const isOld = Math.min(this.clock.now() - at, this.loop.clock.wallTime() - this.startedAt) > ORPHANED_AFTER;
    if (job === undefined) return isOld ? 'drop' : 'pass on';
    if (ruleOf(job) === inForce) return rule === inForce || isOccurrence(job, at) ? 'run' : 'drop';
    // Only who goes by the rule in force can tell what a late one means.
    if (rule === inForce && this.clock.now() - at <= this.tolerance) return 'run';
    return isOld ? 'drop' : 'pass on';
  }

  /** What is late by the difference of the clocks is on time. */
  private get tolerance(): number {
    return Math.abs(this.clock.offset) + SLACK;
  }

  private async runOrSkip({ at }: HandedOut, job: Job, { cancels, line }: SharedState): Promise<Verdict | Turn> {
    const hasBegun = line.includes(at);
    if (!hasBegun && !(await this.isChosen(job, at))) return 'finished';
    const place = await this.placeInLine(job, at);
    if (this.isSuperseded(job, at, place, hasBegun)) return 'finished';
    if (this.isSkipped(job, at, place, hasBegun)) return await this.skip(job, at, place);
    if (job.policy.overlap !== 'cancel' || place.ahead.length === 0) return { job, place, cancels };
    return { job, place, cancels: await this.requests.requestCancel(job.name, 'its next run is due') };
  }

  /** The misfire policy. */
  private async isChosen(job: Job, at: number): Promise<boolean> {
    const now = Math.max(at, this.clock.now());
    const { due, last } = chooseDue(job, at, now, 0);
    const later = due.map(({ scheduledFor }) => scheduledFor).filter((time) => time > at);
    const isChosen = this.isInTime(job, at, now);
    if (!isChosen) await this.leaveOut(job, 1 + (await this.neverPlanned(job, at, later[0] ?? last + 1)));
    // Those that the policy wants instead, or too; what they have to tell of the ones left out is there already. And the
    // next one: if all instances died now, it is what the first to begin is handed, and it knows what was due meanwhile.
    const successors = [...later, ...occurrenceAfter(job, last)];
    if (successors.length > 0) await this.requests.enqueue(occurrencesOf(job, successors), job.policy.grace);
    return isChosen;
  }

  private isInTime(job: Job, at: number, now: number): boolean {
    const { due } = chooseDue(job, at, Math.max(at, now - this.tolerance), 0);
    return due.some(({ scheduledFor }) => scheduledFor === at);
  }

  private isSuperseded({ policy }: Job, at: number, { behind }: Place, hasBegun: boolean): boolean {
    return policy.overlap === 'cancel' && hasBegun && behind.some((other) => other > at);
  }

  private isSkipped({ policy }: Job, at: number, { ahead }: Place, hasBegun: boolean): boolean {
    if (hasBegun || ahead.length === 0) return false;
    switch (policy.overlap) {
      case 'concurrent':
        return false;
      case 'skip':
        return true;
      case 'queue':
        return ahead.length > policy.queueLimit;
      case 'cancel':
        return ahead.some((other) => other > at);
    }
  }

  private async skip(job: Job, at: number, { missed }: Place): Promise<Verdict> {
    await this.requests.leave(job.name, [at]);
    await this.leaveOut(job, missed + 1);
    return 'finished';
  }

  /** Waits until nothing of the job goes on before it, and runs. */
  private async waitAndRun({ at, redeliveries }: HandedOut, { job, place, cancels }: Turn): Promise<Verdict> {
    const { overlap } = job.policy;
    for (let { ahead } = place; ahead.length > 0 && overlap !== 'concurrent' && !this.closing; ) {
      await this.idly(() => sleep(LOOK_EVERY));
      const inLine = await this.placeInLine(job, at);
      // A newer one has come, and waits as this one does.
      if (overlap === 'cancel' && inLine.behind.some((other) => other > at)) return await this.skip(job, at, inLine);
      ahead = inLine.ahead;
    }
    if (this.closing) return 'giveBack';
    await this.run(job, cancels, { scheduledFor: at, missedCount: place.missed, attemptsBefore: redeliveries });
    // It is over, whatever comes now, be it a shutdown. If nobody hears of it, the next one finds that out.
    await this.requests.leave(job.name, [at]).catch(() => {});
    return 'finished';
  }

  private async placeInLine(job: Job, at: number): Promise<Place> {
    const { line, missed } = await this.requests.enter(job.name, at);
    const place = line.indexOf(at);
    const before = line.slice(0, place);
    const behind = line.slice(place + 1);
    if (before.length === 0) return { ahead: [], behind, missed };
    const known = await this.requests.known(job.name, before);
    const isOpen = (other: number) => known.get(other) === 'open';
    const ahead = before.filter(isOpen);
    const over = before.filter((other) => !isOpen(other));
    if (over.length > 0) await this.requests.leave(job.name, over);
    return { ahead, behind, missed };
  }

  private async run(job: Job, cancels: number, due: Due): Promise<void> {
    const stopWatching = this.watchForCancel(job.name, cancels);
    try {
      await job.runner.runHandedOut(due);
    } finally {
      stopWatching();
    }
  }

  private async leaveOut(job: Job, missed: number): Promise<void> {
    await this.requests.addMissed(job.name, missed);
    job.runner.countMissed(1);
  }

  /**
   * After this one, those whose time went by before this instance began and that nobody has put in. From one that was put in
   * on, it is that one's to count.
   */
  private async neverPlanned(job: Job, after: number, before: number): Promise<number> {
    const { recurrence } = job.plan as NonNullable<Job['plan']>;
    const end = Math.min(before, this.startedAt);
    const passed: number[] = [];
    for (let at = recurrence.after(after); at !== null && at < end; at = recurrence.after(at)) {
      passed.push(at);
      if (passed.length >= MOST_COUNTED) break;
    }
    if (passed.length === 0) return 0;
    const known = await this.requests.known(job.name, passed);
    const first = passed.findIndex((at) => known.has(at));
    return first === -1 ? passed.length : first;
  }

  /** `cancel()` may be called on any instance; the count of calls lies in the engine. */
  private watchForCancel(job: string, before: number): () => void {
    const running = currentTask();
    const watcher = createTask(
      async () => {
        for (;;) {
          await sleep(LOOK_EVERY);
          const state = await this.requests.state(job).catch(ignoreUnlessCancelled);
          if (state !== null && state.cancels > before) return void running?.cancel(state.cancelReason);
        }
      },
      { name: `watch ${job}` },
    );
    return () => watcher.cancel();
  }
}

function ignoreUnlessCancelled(error: unknown): null {
  rethrowCancelled(error);
  return null;
}
