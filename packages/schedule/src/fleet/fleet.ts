/**
 * The same schedule on many machines.
 *
 *   planning     every instance computes each job's next occurrence and puts it into the engine, under an id that is the
 *                same everywhere; the engine drops the duplicates (planner.ts).
 *   running      the engine hands an occurrence to one instance. That one applies the misfire and overlap policies, with
 *                what is in the engine in place of what is in the process (receiver.ts).
 *   deploying    schedules are declared in code, so two versions of it meet. The rule of the instance that began last
 *                holds, for as long as anybody goes by it: others stop planning, and what they had planned does not run
 *                unless the new rule has it, too.
 *
 * The last instance to begin decides, since a rolling deploy begins the new ones last. An engine's own repeating jobs
 * (BullMQ's schedulers, pg-boss's cron) are not used: their chain ends when one link fails, or is a minute coarse.
 */
import {
  type EventLoop,
  Future,
  getRunningLoop,
  rethrowCancelled,
  sleep,
  type Task,
  type TaskGroup,
  taskGroup,
  timeout,
  until,
} from '@aiokit/core';
import type { Job } from '../job.ts';
import { cancellable, type Engine, type HandedOut, type Requests, type Verdict } from './engine.ts';
import { EngineClock } from './engine-clock.ts';
import { Planner } from './planner.ts';
import { Receiver } from './receiver.ts';
import { ruleOf } from './rule.ts';

/** How often to put the next occurrences in again, and to look whether the rules still hold, in ms. */
const REPAIR_EVERY = 5_000;
/** How long the engine's connection may take to end, in ms. */
const CLOSE_WITHIN = 5_000;

export class Fleet {
  private readonly loop: EventLoop = getRunningLoop();
  private readonly engine: Engine;
  private readonly requests: Requests;
  private readonly clock: EngineClock;
  private readonly receiver: Receiver;
  private planner: Planner | null = null;
  private readonly ended = new Future<void>();
  /** What goes on here, by the name of the job. */
  readonly tasks = new Map<Task<unknown>, string>();
  private group: TaskGroup | null = null;
  private isOpen = false;
  private closing = false;
  private errorShown = '';

  constructor(engine: Engine) {
    this.engine = engine;
    this.requests = cancellable(engine);
    this.clock = new EngineClock(this.loop, this.requests.now, this.tell);
    this.receiver = new Receiver(this.loop, this.requests, this.clock, this.tell);
  }

  /** Until `close()`, or a cancel, which cancels the runs here and gives their occurrences back. */
  async run(jobs: Iterable<Job>): Promise<void> {
    try {
      await taskGroup(
        async (group) => {
          this.group = group;
          this.planner = new Planner(this.loop, this.requests, group, this.tell);
          try {
            const planning = group.createTask(() => this.openAndPlan(jobs), { name: 'schedule planning' });
            await this.ended;
            planning.cancel();
          } finally {
            this.close();
          }
        },
        { name: 'schedule fleet' },
      );
    } finally {
      this.group = null;
      // An engine that is away does not say goodbye.
      await timeout(CLOSE_WITHIN, () => until(this.engine.close())).catch(rethrowCancelled);
    }
  }

  close(): void {
    this.closing = true;
    this.engine.pause();
    this.planner?.close();
    for (const task of this.receiver.close()) {
      this.tasks.delete(task);
      task.cancel('the schedule stops');
    }
    if (!this.ended.done()) this.ended.setResult();
  }

  arm(job: Job): void {
    if (this.closing || !this.isOpen) return;
    this.receiver.jobs.set(job.name, job);
    this.planner?.add(job);
  }

  disarm(job: Job): void {
    this.planner?.remove(job);
    const { jobs } = this.receiver;
    if (jobs.get(job.name) === job) jobs.delete(job.name);
  }

  /** Ends the job on every instance that has it by this rule. */
  async retire(job: Job): Promise<void> {
    await this.requests.retire(job.name, ruleOf(job));
  }

  async cancelElsewhere(job: Job, reason: unknown): Promise<void> {
    await this.requests.requestCancel(job.name, reason === undefined ? '' : String(reason));
  }

  /** An engine that is away is waited for. */
  private async openAndPlan(jobs: Iterable<Job>): Promise<void> {
    await until(this.engine.open((occurrence) => this.take(occurrence), this.tell));
    await this.clock.compare();
    this.isOpen = true;
    this.errorShown = '';
    for (const job of jobs) this.arm(job);
    this.receiver.ready.setResult();
    for (;;) {
      await sleep(REPAIR_EVERY);
      await this.clock.compare();
      this.planner?.repair();
    }
  }

  /** One occurrence has been handed to this instance. */
  private async take(occurrence: HandedOut): Promise<Verdict> {
    let task: Task<Verdict>;
    try {
      if (this.group === null || this.closing) return 'giveBack';
      task = this.group.createTask(() => this.receiver.receive(occurrence), { name: occurrence.job });
    } catch {
      return 'giveBack'; // The group is being cancelled.
    }
    this.tasks.set(task, occurrence.job);
    const onLost = () => task.cancel('the engine has given the run to another instance');
    occurrence.lost.addEventListener('abort', onLost, { once: true });
    try {
      return await task;
    } catch {
      // Cancelled. By the shutdown, or since the engine does not hear of us: another is to have it. Otherwise that was the wish.
      return this.closing || occurrence.lost.aborted ? 'giveBack' : 'finished';
    } finally {
      this.tasks.delete(task);
      occurrence.lost.removeEventListener('abort', onLost);
    }
  }

  /** Once per message: an engine that is away says so every second. */
  private readonly tell = (error: unknown): void => {
    const text = String((error as Error)?.message ?? error);
    if (this.closing || text === this.errorShown) return;
    this.errorShown = text;
    this.loop.callExceptionHandler({ message: 'The engine of a fleet of schedulers failed', exception: error });
  };
}
