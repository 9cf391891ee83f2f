import { currentTask, detached, Event, sleep, until } from '@aiokit/core';
import { urlOf } from './listen.ts';
import type { WorkersOptions } from './options.ts';
import type { RunningServer } from './serve.ts';
import { type ClosingSignals, closeOnSignals } from './signals.ts';
import { Supervisor } from './supervisor.ts';

/** What a worker's program may take to end after its server has closed, in ms. */
const CLEANUP_GRACE = 10_000;

/** What `serve` with `workers` returns in the first process: it accepts nothing itself, and looks after those that do. */
export class WorkerProcesses implements RunningServer {
  private readonly options: WorkersOptions;
  private readonly supervisor: Supervisor;
  private readonly closed = new Event();
  private closingOnce: Promise<void> | null = null;
  private where = '';
  private signals: ClosingSignals | null = null;

  /** @internal */
  constructor(options: WorkersOptions) {
    this.options = options;
    const { workers, log = printLine, drainDelay = 0, gracefulTimeout = 30_000, cancelTimeout = 5_000 } = options;
    const patience = drainDelay + gracefulTimeout + cancelTimeout + CLEANUP_GRACE;
    this.supervisor = new Supervisor({ workers, log, patience });
  }

  /** @internal */
  async _start(): Promise<void> {
    const { handleSignals = currentTask() === null, socketPath, tls } = this.options;
    if (handleSignals) this.signals = closeOnSignals(this, () => this.supervisor.kill());
    try {
      const { address, port } = await until(detached(() => this.supervisor.start()));
      const family = address?.includes(':') ? 'IPv6' : 'IPv4';
      this.where = socketPath ?? urlOf({ address: address ?? '0.0.0.0', family, port }, tls !== undefined);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  get url(): string {
    return this.where;
  }

  get closing(): boolean {
    return this.closingOnce !== null;
  }

  /** How many there are, and how many were started so far. */
  statistics(): { readonly workers: number; readonly started: number } {
    return this.supervisor.statistics();
  }

  async untilClosed(): Promise<void> {
    await this.closed.wait();
  }

  /** Lets each worker finish what it has accepted, as {@link Server.close} does; all at the same time. */
  close(): Promise<void> {
    this.closingOnce ??= detached(async () => {
      const { drainDelay = 0 } = this.options;
      // They have to go on accepting meanwhile, and a worker that is told to stop is out of the line at once.
      if (drainDelay > 0) this.supervisor.announceStop();
      if (drainDelay > 0) await sleep(drainDelay);
      await this.supervisor.stop('close');
      this.signals?.ignore();
      this.closed.set();
    });
    return this.closingOnce;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function printLine(line: string): void {
  console.error(`${new Date().toISOString()} ${line}`);
}
