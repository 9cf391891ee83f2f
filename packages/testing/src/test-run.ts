import {
  type Clock,
  currentTask,
  type EventLoop,
  type ExceptionContext,
  formatTaskTree,
  Runner,
  type Task,
  type TaskOptions,
} from '@aiokit/core';
import { BackgroundTasks } from './background-tasks.ts';
import { Connections, watchConnections } from './connections.ts';
import { insideRun, outsideRun } from './current-run.ts';
import { OperationStalledError, TestTimeoutError } from './errors.ts';
import { installGlobals } from './install-globals.ts';
import { Leaks } from './leaks.ts';
import { describeOperation, describeStall, type Stall } from './operation-watch.ts';
import { realClearTimeout, realSetTimeout } from './real-time.ts';
import type { RunTestOptions } from './run-test.ts';
import type { TestContext } from './test-context.ts';
import { TestServices } from './test-services.ts';
import { VirtualClock } from './virtual-clock.ts';
import { watchForStuckSteps } from './watchdog.ts';

/** For so long, in real ms, a test that has failed may clean up; a short-lived one for a tenth of its time. */
const CLEANUP = 1_000;

/** One test on its way: its loop, its limits, and what it must not leave behind. */
export class TestRun {
  readonly name: string;
  readonly connections = new Connections();
  readonly loop: EventLoop;
  /** `null` in real time. */
  readonly clock: VirtualClock | null;
  /** Undone, last first, when the test is over. */
  readonly cleanups: (() => void)[] = [];
  over = false;
  private readonly timeout: number;
  private readonly patience: number;
  private readonly globals: boolean;
  private readonly watchdog: number;
  private readonly runner: Runner;
  private readonly leaks: Leaks;
  private readonly background: BackgroundTasks;
  private readonly services: TestServices;
  private main: Task<unknown> | null = null;
  private ended: Promise<void> = Promise.resolve();
  private closing = false;
  /** What debug mode tells: noise after a failure. */
  private readonly warnings: string[] = [];
  private readonly failure = Promise.withResolvers<never>();

  constructor(options: RunTestOptions) {
    this.name = options.name ?? 'test';
    this.timeout = options.timeout ?? 5_000;
    this.patience = Math.min(CLEANUP, 0.1 * this.timeout);
    const ioTimeout = options.ioTimeout ?? Math.min(5_000, 0.75 * this.timeout);
    this.clock = options.live ? null : (options.clock ?? new VirtualClock({ ...options, ioTimeout }));
    this.globals = options.globals ?? false;
    this.watchdog = options.watchdog ?? 2_000;
    this.leaks = new Leaks(options.allowLeaks);
    this.background = new BackgroundTasks((error) => this.fail(error));
    this.services = new TestServices((fn) => this.outside(fn));
    this.runner = insideRun(this, () => {
      const clock: Clock | undefined = this.clock ?? undefined;
      return new Runner({
        name: this.name,
        clock,
        debug: true,
        handleSignals: false,
        signal: options.signal,
        closeTimeout: this.patience,
      });
    });
    this.loop = this.runner.getLoop();
    this.loop.setExceptionHandler((context) => this.report(context));
    // The watchdog sees to that; a busy machine is no news.
    this.loop.slowCallbackDuration = Infinity;
    if (this.clock !== null) {
      this.clock.traceTimers();
      this.clock.onStall = (stall) => this.fail(stalled(stall));
    }
  }

  async run<R>(body: (context: TestContext) => R): Promise<Awaited<R>> {
    const unwatch = watchConnections();
    const callOff = watchForStuckSteps(this.watchdog, (error) => this.fail(error));
    const limit = Number.isFinite(this.timeout)
      ? realSetTimeout(() => this.fail(this.tooLong()), this.timeout)
      : undefined;
    this.failure.promise.catch(() => {});
    try {
      const running = insideRun(this, () => this.runInTask(body));
      const result = await Promise.race([running, this.failure.promise]);
      await this.close();
      await this.checkLeaks();
      for (const warning of this.warnings) console.warn(`${this.name}: ${warning}`);
      return result;
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      this.over = true;
      realClearTimeout(limit);
      unwatch();
      callOff();
    }
  }

  backgroundTask<R>(fn: () => R, options?: TaskOptions): Task<Awaited<R>> {
    return this.background.start(this.loop, fn, options);
  }

  /** Runs `fn` so that nothing of it is the test's, while its time stands. */
  outside<R>(fn: () => Promise<R>): Promise<R> {
    const run = () => outsideRun(fn);
    return this.clock === null ? run() : this.clock.hold(run);
  }

  /** Fails the test from outside of its task. */
  fail(error: unknown): void {
    this.failure.reject(error);
    this.main?.cancel(error);
  }

  private runInTask<R>(body: (context: TestContext) => R): Promise<Awaited<R>> {
    return this.runner.run(() => {
      this.main = currentTask() as Task<unknown>;
      const running = this.runBody(body, this.main);
      // A task that deadlocks counts as failed at once; its cleanup goes on.
      this.ended = running.then(ignore, ignore);
      return running;
    });
  }

  private async runBody<R>(body: (context: TestContext) => R, main: Task<unknown>): Promise<Awaited<R>> {
    try {
      if (this.globals && this.clock !== null) installGlobals(this.clock);
      const result = await body(this.context());
      await this.background.close();
      this.leaks.addTasks(this.loop, main);
      return result;
    } finally {
      await this.background.close();
      await this.services.close();
    }
  }

  private context(): TestContext {
    return {
      clock: (this.clock ?? this.loop.clock) as VirtualClock,
      loop: this.loop,
      services: this.services,
      backgroundTask: (fn, options) => this.backgroundTask(fn, options),
    };
  }

  /** Ends what is left; what does not end within a second of real time is left behind. */
  private async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    const patience = Promise.withResolvers<void>();
    const timer = realSetTimeout(patience.resolve, this.patience);
    // A test that failed cleans up first; what it leaves behind is cancelled after that.
    await Promise.race([this.ended, patience.promise]);
    realClearTimeout(timer);
    await insideRun(this, () => this.runner.close());
    for (const cleanup of this.cleanups.splice(0).reverse()) cleanup();
  }

  private async checkLeaks(): Promise<void> {
    if (this.clock !== null) this.leaks.addTimers(this.clock);
    await this.leaks.addConnections(this.connections);
    this.leaks.check();
  }

  private report({ message, exception }: ExceptionContext): void {
    if (exception !== undefined) this.leaks.addFailure(message, exception);
    else if (!message.startsWith('Still pending at the end')) this.warnings.push(message);
  }

  private tooLong(): TestTimeoutError {
    const virtual =
      this.clock === null
        ? ''
        : ` Meanwhile ${this.clock.now()} ms of virtual time passed, in ${this.clock.jumps} jumps.`;
    return new TestTimeoutError(
      `The test '${this.name}' took longer than ${this.timeout} ms of real time.${virtual}\n${this.state()}`,
    );
  }

  private state(): string {
    const operations = [...this.loop.activity.operations].map(
      ({ kind, label, peer, open }) => `- ${describeOperation(kind, label, peer?.())}${open ? ' (open-ended)' : ''}\n`,
    );
    const inFlight = operations.length === 0 ? '' : `Operations in flight:\n${operations.join('')}`;
    return `${inFlight}Tasks:\n${formatTaskTree(this.loop)}`;
  }
}

function stalled(stall: Stall): OperationStalledError {
  return new OperationStalledError(
    `${describeStall(stall)}: virtual time cannot go on. A server that does not answer, or a statement that waits for a ` +
      'lock? Give it longer with the option ioTimeout',
  );
}

function ignore(): void {}
