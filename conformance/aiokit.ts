/** Runs a program on aiokit, in virtual time, and gives its trace: op for op what cpython.py does. */
import {
  abortable,
  asCompleted,
  Barrier,
  BrokenBarrierError,
  Condition,
  createTask,
  currentTask,
  Event,
  ExceptionGroup,
  type Guard,
  gather,
  getRunningLoop,
  InvalidStateError,
  isCancelled,
  Lock,
  Queue,
  run,
  Semaphore,
  shield,
  sleep,
  type Task,
  TimeoutError,
  taskGroup,
  timeout,
  until,
  wait,
  waitFor,
} from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import type { Op, Program } from './programs.ts';

/** What each task did, and when. */
export type Trace = Record<string, string[]>;

export async function trace(program: Program): Promise<Trace> {
  const execution = new Execution();
  await run(() => execution.driver(program.main), {
    clock: new VirtualClock({ start: 0 }),
    handleSignals: false,
    closeTimeout: 1_000,
  });
  return execution.trace;
}

const LIMIT = 1_000_000_000;

class Broken extends Error {}

/** Leaves a program's function with a value. */
class Return {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

class Execution {
  readonly trace: Trace = {};
  private readonly tasks = new Map<string, Task<number | null>>();
  private readonly childrenOf = new Map<string, number>();
  private isOver = false;
  private readonly queue = new Queue<number>(2);
  private readonly locks = { lock: new Lock(), semaphore: new Semaphore(2) };
  private readonly event = new Event();
  private readonly condition = new Condition();
  private readonly barrier = new Barrier(2);

  async driver(ops: readonly Op[]): Promise<void> {
    getRunningLoop().setExceptionHandler(() => {});
    const main = createTask(() => this.function('main', ops));
    for (let i = 0; i < 5; i++) {
      const { done } = await wait([main], { timeout: LIMIT });
      if (done.size > 0) break;
      this.note('driver', 'main is stuck');
      main.cancel();
    }
    if (main.done() && !main.cancelled()) main.exception();
    await sleep(1);
    this.isOver = true; // What the end of the loop does is another matter.
  }

  private note(name: string, text: string, loop = getRunningLoop()): void {
    if (!this.isOver) (this.trace[name] ??= []).push(`${Math.round(loop.time())} ${text}`);
  }

  /** A task's function: its trace has its name. */
  private async function(name: string, ops: readonly Op[]): Promise<number | null> {
    try {
      const value = await this.block(name, ops);
      this.note(name, `returns ${value}`);
      return value;
    } catch (error) {
      this.note(name, `raises ${kind(error)}`);
      throw error;
    }
  }

  /** The name is given when the function is made, as Python's coroutine gets its. */
  private child(name: string, ops: readonly Op[]): () => Promise<number | null> {
    const number = (this.childrenOf.get(name) ?? 0) + 1;
    this.childrenOf.set(name, number);
    return () => this.function(`${name}.${number}`, ops);
  }

  private async all(name: string, ops: readonly Op[]): Promise<void> {
    for (const op of ops) await this.step(name, op);
  }

  /** A body in the same task; what it returns leaves only this body. */
  private async block(name: string, ops: readonly Op[]): Promise<number | null> {
    try {
      await this.all(name, ops);
      return null;
    } catch (error) {
      if (error instanceof Return) return error.value;
      throw error;
    }
  }

  private async step(name: string, op: Op): Promise<unknown> {
    switch (op[0]) {
      case 'sleep':
        return sleep(op[1]);
      case 'throw':
        throw new Broken(op[1]);
      case 'leave':
        throw new Return(op[1]);
      case 'spawn':
        return void this.tasks.set(op[1], createTask(this.child(name, op[2])));
      case 'join':
      case 'shield': {
        const task = this.tasks.get(op[1]);
        if (task === undefined) return;
        const value = await (op[0] === 'join' ? task : shield(task));
        return this.note(name, `${op[0] === 'join' ? 'joined' : 'shielded'} ${value}`);
      }
      case 'cancel': {
        const task = this.tasks.get(op[1]);
        if (task !== undefined) this.note(name, `cancels: ${task.cancel()}`);
        return;
      }
      case 'cancelling':
        return this.note(name, `cancelling ${currentTask()?.cancelling()}`);
      case 'attempt':
        return this.attempt(name, op[1], op[2], op[3], op[4]);
      case 'timeout':
        return timeout(op[1], async (scope) => {
          try {
            await this.block(name, op[2]);
          } finally {
            this.note(name, `leaves timeout, expired ${scope.expired()}`);
          }
        });
      case 'wait_for':
        return waitFor(async () => {
          const value = await this.block(name, op[2]);
          this.note(name, `in time ${value}`);
        }, op[1]);
      case 'gather': {
        const results = await gather(this.children(name, op[1]), { returnExceptions: op[2] as true });
        const shown = results.map((each) => (each instanceof Error ? kind(each) : each));
        return this.note(name, `gathered ${JSON.stringify(shown)}`);
      }
      case 'wait': {
        const tasks = this.children(name, op[1]).map((each) => createTask(each));
        const { done, pending } = await wait(tasks, { timeout: op[2], returnWhen: op[3] });
        return this.note(name, `waited ${done.size} ${pending.size}`);
      }
      case 'as_completed':
        return this.asCompleted(name, op[1]);
      case 'group':
        await taskGroup(async (group) => {
          for (const each of this.children(name, op[1])) group.createTask(each);
          await this.block(name, op[2]);
        });
        return this.note(name, 'group ended');
      case 'all':
        await Promise.all(op[1].map(([ms, limit]) => (limit === null ? sleep(ms) : timeout(limit, () => sleep(ms)))));
        return this.note(name, 'all came');
      case 'until':
        await until(foreign(op[1], op[2]));
        return this.note(name, 'until came');
      case 'abortable':
        await abortable((signal) => this.stoppable(name, op[1], signal));
        return this.note(name, 'not aborted');
      case 'limited': {
        const results = await gather(this.children(name, op[1]), { limit: op[2], returnExceptions: op[3] as true });
        const shown = results.map((each) => (each instanceof Error ? kind(each) : each));
        return this.note(name, `gathered ${JSON.stringify(shown)}`);
      }
      case 'put':
        await this.queue.put(op[1]);
        return this.note(name, `put ${op[1]}`);
      case 'get':
        return this.note(name, `got ${await this.queue.get()}`);
      case 'locked':
        await holding(this.locks[op[1]], () => {
          this.note(name, `holds ${op[1]}`);
          return this.block(name, op[2]);
        });
        return this.note(name, `released ${op[1]}`);
      case 'set':
        return this.event.set();
      case 'clear':
        return this.event.clear();
      case 'pass_event':
        await this.event.wait();
        return this.note(name, 'passed the event');
      case 'notified':
        return holding(this.condition, async () => {
          try {
            await this.condition.wait();
          } finally {
            this.note(name, `notified, lock held ${this.condition.locked()}`);
          }
        });
      case 'notify':
        return holding(this.condition, () => this.condition.notify(op[1]));
      case 'meet':
        await this.barrier.wait();
        return this.note(name, 'met');
    }
  }

  /** Work that knows how to stop. */
  private stoppable(name: string, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const loop = getRunningLoop();
      const timer = loop.callLater(ms, resolve);
      signal.addEventListener('abort', () => {
        timer.cancel();
        this.note(name, 'aborts', loop); // It runs in the context of whoever cancels.
        reject(signal.reason);
      });
    });
  }

  private children(name: string, bodies: readonly (readonly Op[])[]): (() => Promise<number | null>)[] {
    return bodies.map((each) => this.child(name, each));
  }

  private async attempt(name: string, ops: Op[], catching: string[], handler: Op[], cleanup: Op[]): Promise<void> {
    try {
      await this.all(name, ops);
    } catch (error) {
      if (error instanceof Return || !catching.includes(isCancelled(error) ? 'cancel' : 'error')) throw error;
      this.note(name, `catches ${kind(error)}`);
      await this.all(name, handler);
    } finally {
      if (cleanup.length > 0) {
        await this.all(name, cleanup);
        this.note(name, 'cleaned up');
      }
    }
  }

  private async asCompleted(name: string, bodies: readonly (readonly Op[])[]): Promise<void> {
    for (const future of asCompleted(this.children(name, bodies))) {
      try {
        this.note(name, `completed ${await future}`);
      } catch (error) {
        if (isCancelled(error) && currentTask()?.cancelling() !== 0) throw error;
        this.note(name, `completed ${kind(error)}`);
      }
    }
  }
}

/** A promise of somebody else's: a cancel cannot stop what it stands for. */
function foreign(ms: number, fails: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    getRunningLoop().callLater(ms, () => (fails ? reject(new Broken('foreign')) : resolve()));
  });
}

/** `using guard = await lock.acquire()`, for Node 22. */
async function holding(lock: { acquire(): PromiseLike<Guard> }, body: () => unknown): Promise<void> {
  const guard = await lock.acquire();
  try {
    await body();
  } finally {
    guard.release();
  }
}

function kind(error: unknown): string {
  if (isCancelled(error)) return 'cancelled';
  if (error instanceof ExceptionGroup) return `group(${error.errors.map(kind).toSorted().join(',')})`;
  if (error instanceof Broken) return `error ${error.message}`;
  if (error instanceof TimeoutError) return 'timeout';
  if (error instanceof BrokenBarrierError) return 'broken barrier';
  return error instanceof InvalidStateError || error instanceof RangeError ? 'misuse' : String(error);
}
