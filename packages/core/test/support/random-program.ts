/** Random programs of tasks, scopes, queues and locks, and an interpreter that watches what must always hold. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  allTasks,
  asCompleted,
  type CancelledError,
  Condition,
  createTask,
  currentTask,
  Event,
  ExceptionGroup,
  gather,
  getRunningLoop,
  isCancelled,
  Lock,
  protect,
  Queue,
  race,
  run,
  Semaphore,
  shield,
  sleep,
  type Task,
  TimeoutError,
  taskGroup,
  timeout,
  wait,
  waitFor,
} from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import fc from 'fast-check';

export type Op =
  | { op: 'sleep'; ms: number }
  | { op: 'fail' }
  | { op: 'spawn'; body: Op[]; eager: boolean }
  | { op: 'await' | 'cancel' | 'cancelTwice' | 'shield' | 'waitFor'; task: number; ms: number }
  | { op: 'wait'; tasks: number[]; ms: number; first: boolean }
  | { op: 'timeout' | 'protect' | 'swallow' | 'finally'; body: Op[]; ms: number }
  | { op: 'group' | 'gather' | 'limitedGather' | 'race' | 'all' | 'asCompleted'; bodies: Op[][]; limit: number }
  | { op: 'put' | 'get' }
  | { op: 'lock' | 'semaphore'; body: Op[] }
  | { op: 'event' | 'set' | 'clear' | 'condition' | 'notify' }
  | { op: 'cancelSelf' };

const ms = fc.integer({ min: 0, max: 40 });
const task = fc.nat(9);

const { body } = fc.letrec<{ body: Op[]; op: Op }>((tie) => ({
  body: fc.array(tie('op'), { maxLength: 4, depthIdentifier: 'program' }) as fc.Arbitrary<Op[]>,
  op: fc.oneof(
    { depthIdentifier: 'program', depthSize: 'small', withCrossShrink: true },
    fc.record({ op: fc.constant('sleep' as const), ms }),
    fc.record({ op: fc.constantFrom('put' as const, 'get' as const) }),
    fc.record({ op: fc.constantFrom('event' as const, 'set' as const, 'clear' as const) }),
    fc.record({ op: fc.constantFrom('condition' as const, 'notify' as const) }),
    fc.record({
      op: fc.constantFrom('await', 'cancel', 'cancelTwice', 'shield', 'waitFor'),
      task,
      ms,
    }) as fc.Arbitrary<Op>,
    fc.record({
      op: fc.constant('wait' as const),
      tasks: fc.array(task, { minLength: 1, maxLength: 3 }),
      ms,
      first: fc.boolean(),
    }),
    fc.record({ op: fc.constant('spawn' as const), body: tie('body'), eager: fc.boolean() }),
    fc.record({
      op: fc.constantFrom('timeout', 'protect', 'swallow', 'finally'),
      body: tie('body'),
      ms,
    }) as fc.Arbitrary<Op>,
    fc.record({
      op: fc.constantFrom('group', 'gather', 'limitedGather', 'race', 'all', 'asCompleted'),
      bodies: fc.array(tie('body'), { minLength: 1, maxLength: 3 }),
      limit: fc.integer({ min: 1, max: 3 }),
    }) as fc.Arbitrary<Op>,
    fc.record({ op: fc.constantFrom('lock' as const, 'semaphore' as const), body: tie('body') }),
    fc.constantFrom<Op>({ op: 'cancelSelf' }, { op: 'fail' }),
  ) as fc.Arbitrary<Op>,
}));

export const programs: fc.Arbitrary<Op[]> = fc.array(
  body.map((ops): Op => ({ op: 'spawn', body: ops, eager: false })),
  { minLength: 1, maxLength: 5 },
);

class Failure extends Error {}

/** What a program did, and what it broke. */
export interface Outcome {
  readonly trace: string[];
  readonly broken: string[];
}

/** Runs a program in virtual time. */
export async function execute(program: readonly Op[]): Promise<Outcome> {
  const interpreter = new Interpreter();
  try {
    await run(() => interpreter.main(program), { clock: new VirtualClock({ start: 0 }), handleSignals: false });
  } catch (error) {
    interpreter.broken.push(`main threw ${error}`);
  }
  interpreter.checkAtEnd();
  return interpreter;
}

const QUEUE_SIZE = 2;
const SLOTS = 2;

class Interpreter implements Outcome {
  readonly trace: string[] = [];
  readonly broken: string[] = [];
  private readonly tasks: (Task<unknown> | undefined)[] = [];
  /** The place in `tasks` of the spawned task that the running code belongs to. */
  private readonly place = new AsyncLocalStorage<number>();
  private readonly queue = new Queue<number>(QUEUE_SIZE);
  private readonly lock = new Lock();
  private readonly semaphore = new Semaphore(SLOTS);
  private readonly event = new Event();
  private readonly condition = new Condition();
  private readonly counts = { began: 0, ended: 0, entered: 0, cleaned: 0, made: 0, put: 0, got: 0, lock: 0, slots: 0 };

  async main(program: readonly Op[]): Promise<void> {
    getRunningLoop().setExceptionHandler(({ exception, message }) => {
      const expected = [Failure, ExceptionGroup, TimeoutError].some((each) => exception instanceof each);
      this.expect(expected, `${message} ${exception}`);
    });
    for (const op of program) await this.step(op);
    await sleep(1_000);
    // What still waits, for an item that nobody puts say, is cancelled until it ends.
    for (let tries = 0; tries < 50; tries++) {
      const left = [...allTasks()].filter((each) => each !== currentTask());
      if (left.length === 0) return;
      for (const each of left) each.cancel('the end');
      await wait(left, { timeout: 1_000 });
    }
    this.broken.push('tasks that 50 cancels did not end');
  }

  checkAtEnd(): void {
    const { counts } = this;
    this.expect(
      this.tasks.every((each) => each?.done()),
      'every task ends',
    );
    this.expect(counts.began === counts.ended, 'every function that begins ends');
    this.expect(counts.entered === counts.cleaned, 'every finally runs once');
    this.expect(counts.put - counts.got === this.queue.qsize(), 'no element is lost or made twice');
    const { gettersWaiting, puttersWaiting } = this.queue.statistics();
    const waiting = [
      gettersWaiting,
      puttersWaiting,
      this.lock.statistics().waiting,
      this.semaphore.statistics().waiting,
    ];
    waiting.push(this.event.statistics().waiting, this.condition.statistics().waiting);
    this.expect(
      waiting.every((count) => count === 0),
      'nothing is left waiting',
    );
    this.expect(!this.lock.locked() && !this.condition.locked(), 'every lock is released');
    this.expect(this.semaphore.statistics().free === SLOTS, 'every slot is given back');
  }

  private expect(holds: boolean, what: string): void {
    if (!holds) this.broken.push(what);
  }

  private note(text: string): void {
    this.trace.push(`${Math.round(getRunningLoop().time())} ${text}`);
  }

  /** A body of a task, with its place in the trace. */
  private work(ops: readonly Op[]): () => Promise<string> {
    const name = `f${this.counts.made++}`;
    return async () => {
      this.counts.began++;
      try {
        await this.all(ops);
        this.note(`${name} ends`);
        return name;
      } catch (error) {
        this.note(`${name} throws ${kindOf(error)}`);
        throw error;
      } finally {
        this.counts.ended++;
      }
    };
  }

  private async all(ops: readonly Op[]): Promise<void> {
    for (const op of ops) await this.step(op);
  }

  private async step(op: Op): Promise<unknown> {
    switch (op.op) {
      case 'sleep':
        return sleep(op.ms);
      case 'fail':
        throw new Failure('failed');
      case 'spawn':
        return this.spawn(op.body, op.eager);
      case 'cancelSelf':
        return void currentTask()?.cancel('self');
      case 'await':
        return this.withTask(op.task, (task) => task);
      case 'shield':
        return this.withTask(op.task, (task) => shield(task));
      case 'waitFor':
        return this.withTask(op.task, (task) => waitFor(task, op.ms));
      case 'cancel':
      case 'cancelTwice': {
        const task = this.tasks[op.task % Math.max(1, this.tasks.length)];
        task?.cancel(`by ${op.op}`);
        if (op.op === 'cancelTwice') task?.cancel();
        return;
      }
      case 'wait': {
        const later = op.tasks.filter((i) => i > (this.place.getStore() ?? -1));
        const tasks = later.map((i) => this.tasks[i]).filter((each) => each !== undefined);
        if (tasks.length === 0) return;
        const { done } = await wait(tasks, {
          timeout: op.ms,
          returnWhen: op.first ? 'FIRST_COMPLETED' : 'ALL_COMPLETED',
        });
        return this.note(`waited: ${done.size} done`);
      }
      case 'timeout': {
        const limit = timeout(op.ms, () => this.all(op.body));
        return limit.catch((error: unknown) => {
          if (!(error instanceof TimeoutError)) throw error;
          this.note('timed out');
        });
      }
      case 'protect':
        return protect(this.work(op.body), { grace: op.ms });
      case 'swallow':
        return this.all(op.body).catch((error: unknown) => this.note(`swallows ${kindOf(error)}`));
      case 'finally':
        return this.cleaned(op.body, op.ms);
      case 'group':
        return this.limited(op, (bodies) =>
          taskGroup((group) => bodies.forEach((each) => void group.createTask(each)), { limit: op.limit }),
        );
      case 'gather':
        return gather(op.bodies.map((each) => this.work(each)));
      case 'limitedGather':
        return this.limited(op, (bodies) => gather(bodies, { limit: op.limit, returnExceptions: true }));
      case 'asCompleted':
        return this.limited(op, async (bodies) => {
          for await (const { index, status } of asCompleted(bodies, { limit: op.limit, settled: true })) {
            this.note(`${index} ${status}`);
          }
        });
      case 'race':
        return race(op.bodies.map((each) => this.work(each)));
      case 'all':
        return this.sideBySide(op.bodies);
      case 'put':
        await this.queue.put(++this.counts.put).catch((error: unknown) => {
          this.counts.put--;
          throw error;
        });
        return this.expect(this.queue.qsize() <= QUEUE_SIZE, 'a queue keeps its bound');
      case 'get':
        await this.queue.get();
        return void this.counts.got++;
      case 'lock': {
        using _ = await this.lock.acquire();
        return await this.inside('lock', 1, op.body);
      }
      case 'semaphore': {
        using _ = await this.semaphore.acquire();
        return await this.inside('slots', SLOTS, op.body);
      }
      case 'event':
        return this.event.wait();
      case 'set':
        return this.event.set();
      case 'clear':
        return this.event.clear();
      case 'condition': {
        using _ = await this.condition.acquire();
        await this.condition.wait();
        return this.expect(this.condition.locked(), 'who leaves wait() holds the lock');
      }
      case 'notify': {
        using _ = await this.condition.acquire();
        return this.condition.notify(1);
      }
    }
  }

  private spawn(ops: readonly Op[], eager: boolean): void {
    const place = this.tasks.push(undefined) - 1; // Now: an eager one may spawn before it is there.
    this.tasks[place] = this.place.run(place, () => createTask(this.work(ops), { eager }));
  }

  private async withTask(index: number, join: (task: Task<unknown>) => PromiseLike<unknown>): Promise<void> {
    const place = index % Math.max(1, this.tasks.length);
    const task = this.tasks[place];
    // Only tasks that were made later: no two wait for each other.
    if (task === undefined || place <= (this.place.getStore() ?? -1)) return;
    this.note(`joined ${await join(task)}`);
  }

  private async cleaned(ops: readonly Op[], ms: number): Promise<void> {
    this.counts.entered++;
    try {
      await this.all(ops);
    } finally {
      this.counts.cleaned++;
      await sleep(ms);
      this.note('cleaned up');
    }
  }

  /** Branches in one task. (`Promise.all` would leave the others behind when one fails: those are the user's to end.) */
  private async sideBySide(bodies: Op[][]): Promise<void> {
    const settled = await Promise.allSettled(bodies.map((each) => this.all(each)));
    const failed = settled.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }

  private async inside(what: 'lock' | 'slots', most: number, ops: readonly Op[]): Promise<void> {
    this.expect(++this.counts[what] <= most, `at most ${most} inside ${what}`);
    try {
      await this.all(ops);
    } finally {
      this.counts[what]--;
    }
  }

  /** Runs bodies that count how many of them are inside at once. */
  private limited(
    op: { bodies: Op[][]; limit: number },
    join: (bodies: (() => Promise<string>)[]) => PromiseLike<unknown>,
  ) {
    let inside = 0;
    const bodies = op.bodies.map((each) => {
      const work = this.work(each);
      return async () => {
        this.expect(++inside <= op.limit, `a limit of ${op.limit} is kept`);
        try {
          return await work();
        } finally {
          inside--;
        }
      };
    });
    return join(bodies);
  }
}

function kindOf(error: unknown): string {
  if (isCancelled(error)) return `cancel: ${(error as CancelledError).message}`;
  if (error instanceof ExceptionGroup) return `group of ${error.errors.length}`;
  return (error as Error).name;
}
