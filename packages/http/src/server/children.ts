import { type Task, wait } from '@aiokit/core';

/** The tasks that a request's handler has started, however deep: they end with the request. */
export class Children {
  private readonly tasks = new Set<Task<unknown>>();

  add(child: Task<unknown>): void {
    this.tasks.add(child);
    child.addDoneCallback((done) => void this.tasks.delete(done));
  }

  get areDone(): boolean {
    return this.tasks.size === 0;
  }

  /** Cancels them and waits for them. What `shield` protects is handed to `adopt`, and not waited for. */
  async end(request: string, adopt: (task: Task<unknown>) => void): Promise<void> {
    for (let left = this.living(adopt); left.length > 0; left = this.living(adopt)) {
      for (const child of left) child.cancel(`${request} has ended; background(fn) starts what shall outlive it`);
      await wait(left);
    }
  }

  private living(adopt: (task: Task<unknown>) => void): Task<unknown>[] {
    const living = [...this.tasks].filter((child) => !child.done());
    for (const child of living) if (child.shielded()) adopt(child);
    return living.filter((child) => !child.shielded());
  }
}
