/**
 * `run` and `Runner`: a loop with a lifetime. What still runs when main ends is cancelled and awaited.
 */
import { checkFunction, checkMs, checkName, checkOptions, checkSignal } from './check.ts';
import { type Clock, RealClock } from './clock.ts';
import { declareDeadlock, watchForDeadlock } from './deadlock.ts';
import { place } from './debug.ts';
import { InvalidStateError } from './errors.ts';
import { type Future, makeCancel } from './future.ts';
import { EventLoop } from './loop.ts';
import { processSignals } from './process-signals.ts';
import { registry } from './registry.ts';
import { allTasks, currentTask, type Task } from './task.ts';

export interface RunOptions {
  /** The name of the main task. Default: `'main'`. */
  name?: string | undefined;
  /** Report slow steps, undelivered cancels and leftovers. Default: `AIOKIT_DEBUG=1` in the environment. */
  debug?: boolean | undefined;
  /** Default: the machine's. */
  clock?: Clock | undefined;
  /** A signal whose abort cancels main. */
  signal?: AbortSignal | undefined;
  /**
   * Whether SIGINT and SIGTERM cancel main, unless somebody else listens for them. After main has ended the signal is sent
   * again, so that the exit status is the signal's. A second one ends the process at once. Default: true.
   */
  handleSignals?: boolean | undefined;
  /** At the end, how many ms to wait for tasks that were cancelled before they are left behind. Default: no limit. */
  closeTimeout?: number | undefined;
}

/**
 * Runs `main` as a task on a loop of its own. When it ends, every task that still runs is cancelled and awaited, and
 * failures that nobody took are reported.
 *
 * @returns what `main` returns.
 * @throws what `main` throws; {@link InvalidStateError} inside a task; `DeadlockError` if the process would end while `main`
 * still waits.
 *
 * @example
 * ```ts
 * await run(async () => {
 *   await sleep(10);
 *   console.log('done'); // => done
 * });
 * ```
 *
 * @see https://docs.python.org/3/library/asyncio-runner.html#asyncio.run
 */
export function run<R>(main: () => R, options: RunOptions = {}): Promise<Awaited<R>> {
  checkFunction(main, 'main');
  return runAndClose(new Runner(options), main);
}

async function runAndClose<R>(runner: Runner, main: () => R): Promise<Awaited<R>> {
  try {
    return await runner.run(main);
  } finally {
    await runner.close();
  }
}

/**
 * A loop with a lifetime for several runs: `await using runner = new Runner()`.
 *
 * @see https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner
 */
export class Runner implements AsyncDisposable {
  private readonly options: RunOptions;
  private readonly loop: EventLoop;
  private running = false;
  private main: Task<unknown> | null = null;
  private closing: Promise<void> | null = null;
  /** The signal that cancelled main: it is sent again at the end. */
  private signal: NodeJS.Signals | null = null;

  constructor(options: RunOptions = {}) {
    checkOptions(options, 'options');
    checkName(options.name);
    if (options.signal !== undefined) checkSignal(options.signal, 'options.signal');
    if (options.closeTimeout !== undefined) checkMs(options.closeTimeout, 'options.closeTimeout');
    this.options = options;
    this.loop = new EventLoop({ name: options.name ?? 'main', clock: options.clock, debug: options.debug });
  }

  getLoop(): EventLoop {
    return this.loop;
  }

  /** Runs `main` as a task; what it started goes on until `close()`. */
  async run<R>(main: () => R): Promise<Awaited<R>> {
    checkFunction(main, 'main');
    const outer = currentTask();
    if (outer !== null) {
      throw new InvalidStateError(
        `run() inside the task ${outer.name}: a loop is running already. Await the function, or createTask(fn), instead`,
      );
    }
    if (this.closing !== null) throw new InvalidStateError('run() of a Runner that was closed');
    if (this.running) throw new InvalidStateError('run() of a Runner that runs already');
    this.running = true;
    const { name = 'main', signal, handleSignals = true } = this.options;
    const task = registry.context.run(this.loop._context, () => this.loop.createTask(main, { name, signal }));
    this.main = task as Task<unknown>;
    const stopListening = handleSignals ? processSignals().listen(this.interrupt) : null;
    const stopWatching = watchForDeadlock(() => declareDeadlock(this.loop, this.main));
    try {
      return await task;
    } finally {
      this.running = false;
      stopWatching();
      stopListening?.();
      if (this.signal !== null) await this.close();
    }
  }

  /** Cancels what still runs, waits for it, and reports failures that nobody took. */
  async close(): Promise<void> {
    this.closing ??= this.end();
    await this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private readonly interrupt = (signal: NodeJS.Signals): void => {
    this.signal = signal;
    this.main?.cancel(signal);
  };

  private async end(): Promise<void> {
    await this.cancelLeftovers();
    this.loop._close();
    if (this.signal !== null) await processSignals().sendAgain(this.interrupt, this.signal);
  }

  /** One cancel for all: a child that also gets it through its group or gather is not interrupted in its cleanup. */
  private async cancelLeftovers(): Promise<void> {
    const { closeTimeout } = this.options;
    const deadline = closeTimeout === undefined ? null : performance.now() + closeTimeout;
    for (let tasks = allTasks(this.loop); tasks.size > 0; tasks = allTasks(this.loop)) {
      if (this.loop.debug) this.reportLeftovers(tasks);
      const error = makeCancel(undefined);
      for (const task of tasks) task._cancel(error, null);
      const why = await whyNotEnded([...tasks], deadline);
      if (why === 'late') return this.reportStuck(`did not end within closeTimeout (${closeTimeout} ms)`);
      if (why === 'deadlocked') return this.reportStuck('can never end');
    }
  }

  private reportLeftovers(tasks: Iterable<Task<unknown>>): void {
    for (const task of tasks) {
      this.loop.callExceptionHandler({
        message: `Still pending at the end of run(): ${task.describe()}${place(task._site)}`,
        task,
      });
    }
  }

  private reportStuck(how: string): void {
    const tasks = allTasks(this.loop);
    const names = [...tasks].map((task) => task.name).join(', ');
    this.loop.callExceptionHandler({
      message:
        `run() leaves ${tasks.size} task(s) behind that ${how}: ${names}. ` +
        'They swallow their cancel, or wait in a promise that cannot be cancelled',
    });
  }
}

/** Resolves to null when all have ended; else to what is in the way: the deadline, or that nothing can wake them any more. */
function whyNotEnded(futures: Future<unknown>[], deadline: number | null): Promise<'late' | 'deadlocked' | null> {
  return new Promise((resolve) => {
    const end = (why: 'late' | 'deadlocked' | null) => {
      timer?.cancel();
      stopWatching();
      resolve(why);
    };
    const timer = deadline === null ? null : new RealClock().setTimer(deadline, () => end('late'));
    const stopWatching = watchForDeadlock(() => end('deadlocked'));
    let left = futures.length;
    for (const future of futures) future._watch(() => --left === 0 && end(null), null);
  });
}
