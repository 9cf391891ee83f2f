/** The end of a schedule: runs may finish, then they are cancelled, and who does not end even then is named. */
import { currentTask, rethrowCancelled, type Task, type TaskInfo, taskTree, timeout, until, wait } from '@aiokit/core';
import { checkMs, checkOptions } from './check.ts';

export interface StopOptions {
  /** How many ms the runs that go on may take to end by themselves; then they are cancelled. Default: 5,000. */
  drain?: number | undefined;
  /** How many ms the cancelled ones may take for their cleanup before they are left behind. Default: 5,000. */
  cancelGrace?: number | undefined;
}

/** How the runs that went on at `stop()` have ended: the names of their jobs. */
export interface StopReport {
  /** By themselves, in time. */
  readonly finished: string[];
  /** Cancelled, when the drain was over. */
  readonly cancelled: string[];
  /** Those that did not even end then, each with what it waits in. They go on, on their own. */
  readonly stuck: { readonly job: string; readonly waitsIn: string }[];
}

export function checkStopOptions(options: StopOptions): { drain: number; cancelGrace: number } {
  checkOptions(options, 'options', ['drain', 'cancelGrace']);
  const { drain = 5_000, cancelGrace = 5_000 } = options;
  checkMs(drain, 'options.drain');
  checkMs(cancelGrace, 'options.cancelGrace');
  return { drain, cancelGrace };
}

/**
 * @param running what goes on, by the name of the job.
 * @param all settles when everything has ended, connections of a backend included.
 */
export async function stopRuns(
  running: Map<Task<unknown>, string>,
  all: Promise<unknown>,
  drain: number,
  cancelGrace: number,
): Promise<StopReport> {
  const self = currentTask();
  const isOwnRun = self !== null && running.delete(self);
  await allEnded(running.keys(), drain);
  const left = [...running.keys()].filter((task) => !task.done());
  for (const task of left) task.cancel('the schedule stops');
  await allEnded(left, cancelGrace);
  const stuck = left.filter((task) => !task.done());
  // Called by a run of its own, it would wait for itself.
  if (stuck.length === 0 && !isOwnRun) await ended(all, cancelGrace);
  const names = (tasks: Task<unknown>[]) => tasks.map((task) => running.get(task) as string);
  return {
    finished: names([...running.keys()].filter((task) => !left.includes(task))),
    cancelled: names(left.filter((task) => task.done())),
    stuck: stuck.map((task) => ({ job: running.get(task) as string, waitsIn: waitsOf(task) })),
  };
}

async function ended(promise: Promise<unknown>, ms: number): Promise<void> {
  await timeout(ms, () => until(promise)).catch(rethrowCancelled);
}

async function allEnded(tasks: Iterable<Task<unknown>>, ms: number): Promise<void> {
  const waiting = [...tasks].filter((task) => !task.done());
  if (waiting.length > 0) await wait(waiting, { timeout: ms });
}

function waitsOf(task: Task<unknown>): string {
  const found = findTask(taskTree(task.loop), task.name);
  const waits = found?.waits.map(({ on }) => on).join(', ');
  return waits || 'a promise that cannot be cancelled';
}

function findTask(tasks: readonly TaskInfo[], name: string): TaskInfo | null {
  for (const task of tasks) {
    if (task.name === name) return task;
    const inner = findTask(
      task.waits.flatMap((wait) => wait.task ?? []),
      name,
    );
    if (inner !== null) return inner;
  }
  return null;
}
