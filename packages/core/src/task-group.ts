/**
 * Task groups: children that cannot outlive the block that made them.
 *
 * A callback instead of `await using`, since a disposer is not told whether the block failed: it could not know whether to
 * wait for the children or to cancel them (https://github.com/tc39/proposal-explicit-resource-management/issues/49).
 */
import { cancelIn } from './cancelled.ts';
import { checkFunction, checkInteger, checkName, checkOptions } from './check.ts';
import { currentLoop } from './current-loop.ts';
import { type CancelledError, InvalidStateError } from './errors.ts';
import { ExceptionGroup } from './exception-group.ts';
import { FAILED, Future, makeCancel, PENDING, RESOLVED } from './future.ts';
import { registry } from './registry.ts';
import { cancelScope, cancelsAround, currentScope, NestedScope, type Scope, wasSent } from './scope.ts';
import { Semaphore } from './semaphore.ts';
import { Task, type TaskOptions } from './task.ts';
import type { Joiner } from './waiter.ts';

export interface TaskGroupOptions {
  /** How many children may run at once; the others wait for their turn. A child keeps its slot until it has really ended. */
  limit?: number | undefined;
  /** For the message of the ExceptionGroup and for task trees. */
  name?: string | undefined;
}

/**
 * Runs `body` with a group to start tasks in, and waits for all of them. The first failure, of a child or of the body,
 * cancels the rest; when everything has ended, the failures are thrown as one {@link ExceptionGroup}, even a single one. A
 * cancel of the surrounding task cancels body and children and is then thrown on.
 *
 * @returns what `body` returns.
 *
 * @example
 * ```ts
 * const [user, orders] = await taskGroup(async (group) => {
 *   const user = group.createTask(() => loadUser(1));
 *   const orders = group.createTask(() => loadOrders(1));
 *   return [await user, await orders] as const;
 * });
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup
 */
export function taskGroup<R>(body: (group: TaskGroup) => R, options: TaskGroupOptions = {}): Promise<Awaited<R>> {
  checkFunction(body, 'body');
  checkOptions(options, 'options');
  checkName(options.name);
  if (options.limit !== undefined) checkInteger(options.limit, 'options.limit', 1);
  return runGroup(new TaskGroup(options), body);
}

async function runGroup<R>(group: TaskGroup, body: (group: TaskGroup) => R): Promise<Awaited<R>> {
  let outcome: BodyOutcome;
  try {
    outcome = { value: await registry.context.run(group._scope, async () => body(group)) };
  } catch (error) {
    outcome = { error };
  }
  return (await group._leave(outcome)) as Awaited<R>;
}

type BodyOutcome = { value: unknown } | { error: unknown };

/** What {@link taskGroup} gives its body. */
export class TaskGroup implements Joiner {
  /** The task that runs the body; null outside of any. */
  readonly owner: Task<unknown> | null;
  readonly name: string | undefined;
  /** @internal */ readonly _scope: NestedScope;
  private readonly parent: Scope | null;
  private readonly slots: Semaphore | null;
  private readonly children = new Set<Task<unknown>>();
  private readonly errors: unknown[] = [];
  private state: 'open' | 'leaving' | 'finished' = 'open';
  private aborting = false;
  /** A child's failure has cancelled the body. */
  private cancelledBody = false;
  private allEnded: Future<void> | null = null;

  constructor(options: TaskGroupOptions) {
    this.parent = currentScope();
    this.owner = this.parent?.task ?? null;
    this._scope = new NestedScope(currentLoop(), this.parent);
    this.name = options.name;
    this.slots = options.limit === undefined || options.limit === Infinity ? null : new Semaphore(options.limit);
  }

  /** @internal */
  done(): boolean {
    return this.state === 'finished';
  }

  /**
   * Starts a task in the group.
   *
   * @throws {@link InvalidStateError} if the group has ended or is shutting down.
   */
  createTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
    checkFunction(fn, 'fn');
    this.requireOpen();
    const task = new Task<Awaited<R>>(this.inSlot(fn), options, this._scope.loop);
    this.children.add(task as Task<unknown>);
    task._watch((child) => this.childEnded(child as Task<unknown>), this);
    return task;
  }

  /**
   * Starts a task that first has to get ready (a server that has to listen), and waits until it says so by calling
   * `started(value)`; then it goes on in the group. It counts for the group's `limit` as long as it runs.
   *
   * @returns the value given to `started`.
   * @throws what `fn` throws before it is ready; {@link InvalidStateError} if it ends without having said so.
   */
  async start<V>(fn: (started: (value: V) => void) => unknown, options?: TaskOptions): Promise<V> {
    checkFunction(fn, 'fn');
    const ready = new Future<V>();
    const run = async (): Promise<void> => {
      await fn((value) => void ready._finish(RESOLVED, value));
    };
    this.requireOpen();
    const task = new Task<void>(this.inSlot(run), options, this._scope.loop);
    this.children.add(task as Task<unknown>);
    // Until it is ready a failure belongs to the caller of start(); from then on, to the group.
    task._watch((child) => {
      if (ready._state !== PENDING) return this.childEnded(child as Task<unknown>);
      task._take();
      if (task._state === RESOLVED) {
        const what = `The task ${task.name} given to start() ended without calling started()`;
        ready._finish(FAILED, new InvalidStateError(what));
      } else {
        ready._finish(task._state, task._value);
      }
      this.forget(task as Task<unknown>);
    }, this);
    try {
      return await ready;
    } catch (error) {
      task.cancel();
      throw error;
    }
  }

  /** Cancels body and children. The group then ends without an error (unless one of them fails otherwise). */
  cancel(reason?: unknown): void {
    if (this.state === 'finished') return;
    const error = makeCancel(reason);
    this.abort(error);
    if (!this.cancelledBody && this.state === 'open') {
      this.cancelledBody = true;
      cancelScope(this._scope, error);
    }
  }

  /** @internal Waits for the children and says how the whole has ended. */
  async _leave(outcome: BodyOutcome): Promise<unknown> {
    this.state = 'leaving';
    const bodyFailed = 'error' in outcome;
    let cancel = bodyFailed ? cancelIn(outcome.error, this._scope) : null;
    const bodyError = bodyFailed && cancel === null ? outcome : null;
    if (bodyFailed && !this.aborting) this.abort(passedOn(cancel, this._scope));
    let late: CancelledError | null = null;
    while (this.children.size > 0) {
      this.allEnded = new AllEnded(this._scope.loop);
      try {
        await this.allEnded;
      } catch (error) {
        late = error as CancelledError;
        if (!this.aborting) {
          cancel = late;
          this.abort(passedOn(late, this._scope));
        }
      }
      this.allEnded = null;
    }
    this.state = 'finished';
    this._scope.close();
    if (this.cancelledBody) {
      if (cancelsAround(this.parent) === 0) cancel = null;
      else cancel ??= late;
    }
    if (cancel !== null && this.errors.length === 0) throw cancel;
    if (bodyError !== null) this.errors.push(bodyError.error);
    if (this.errors.length > 0) throw this.failure();
    return bodyFailed ? undefined : (outcome as { value: unknown }).value;
  }

  private inSlot<R>(fn: () => R): () => R | Promise<Awaited<R>> {
    const { slots } = this;
    return slots === null ? fn : () => withSlot(slots, fn);
  }

  private requireOpen(): void {
    const which = this.name === undefined ? 'This task group' : `The task group ${this.name}`;
    if (this.state === 'finished' || (this.state === 'leaving' && this.children.size === 0)) {
      throw new InvalidStateError(`${which} has ended: it takes no new tasks`);
    }
    if (this.aborting) throw new InvalidStateError(`${which} is shutting down: it takes no new tasks`);
  }

  private abort(error: CancelledError): void {
    this.aborting = true;
    for (const task of this.children) task._cancel(error, null);
  }

  private childEnded(task: Task<unknown>): void {
    if (task._state === FAILED) {
      task._take();
      this.errors.push(task._value);
    }
    this.forget(task);
    if (task._state !== FAILED || this.aborting || this.cancelledBody) return;
    const error = makeCancel(undefined);
    this.abort(error);
    this.cancelledBody = true;
    cancelScope(this._scope, error);
  }

  private forget(task: Task<unknown>): void {
    this.children.delete(task);
    if (this.children.size === 0) this.allEnded?._finish(RESOLVED, undefined);
  }

  /** The group's errors. A cancel from around it that they displace is renewed: it comes with the next wait. */
  private failure(): ExceptionGroup {
    for (let scope = this.parent; scope !== null; scope = scope.parent) {
      if (scope.cancels === 0) continue;
      const error = makeCancel(undefined, scope.sent?.at(-1));
      scope.sent?.push(error);
      scope.pending = { error, own: true, onTaken: null, sticky: false };
      break;
    }
    const name = this.name === undefined ? 'a task group' : `the task group ${this.name}`;
    return new ExceptionGroup(this.errors, `unhandled errors in ${name}`);
  }
}

/** What the end of a group waits for. */
class AllEnded extends Future<void> {
  override get [Symbol.toStringTag](): string {
    return 'taskGroup';
  }
}

/**
 * The cancel that children get when their group is cancelled. A reason was meant for the group's task, and a cancel that
 * only came out of something awaited was not meant for the group at all; else it is the same cancel, so that a child that
 * was sent it already (by the end of `run()`) is not interrupted in its cleanup.
 */
function passedOn(error: CancelledError | null, scope: Scope): CancelledError {
  return error !== null && error.reason === undefined && wasSent(scope, error) ? error : makeCancel(undefined);
}

/** A slot is held until the work has really ended. */
async function withSlot<R>(slots: Semaphore, fn: () => R): Promise<Awaited<R>> {
  await slots.acquire();
  try {
    return await fn();
  } finally {
    slots.release();
  }
}
