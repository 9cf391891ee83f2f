import { type EventLoop, isCancelled, type Task, type TaskOptions } from '@aiokit/core';
import { inBackground } from './background.ts';
import { checkFunction } from './check.ts';

/** Tasks that end with their test. */
export class BackgroundTasks {
  private readonly tasks = new Set<Task<unknown>>();
  private readonly onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.onFailure = onFailure;
  }

  start<R>(loop: EventLoop, fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
    checkFunction(fn, 'fn');
    const task = inBackground(() => loop.createTask(fn, options));
    this.tasks.add(task as Task<unknown>);
    task.addDoneCallback(() => {
      this.tasks.delete(task as Task<unknown>);
      if (!task.cancelled() && task.exception() !== null) this.onFailure(task.exception());
    });
    return task;
  }

  /** Cancels them and waits for their cleanup. */
  async close(): Promise<void> {
    for (const task of [...this.tasks].reverse()) {
      task.cancel('the test is over');
      try {
        await task;
      } catch (error) {
        if (!isCancelled(error)) throw error;
      }
    }
  }
}
