import { type EventLoop, type Task, taskTree } from '@aiokit/core';
import type { Connections } from './connections.ts';
import { LeakError } from './errors.ts';
import { place } from './place.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What a test may leave behind without failing. */
export interface AllowLeaks {
  /** Tasks that still run. */
  readonly tasks?: boolean | undefined;
  /** Timers that are still set. */
  readonly timers?: boolean | undefined;
  /** Sockets that are still open, and servers that still listen. */
  readonly connections?: boolean | undefined;
  /** Failures of tasks that nobody awaited. */
  readonly failures?: boolean | undefined;
}

/** For so long, in real ms, a connection that is closing may take. */
const CLOSING = 200;

/** Collects what a test leaves behind. */
export class Leaks {
  private readonly allowed: AllowLeaks;
  private readonly found: string[] = [];
  private cause: unknown;

  constructor(allowed: AllowLeaks | boolean = {}) {
    this.allowed =
      typeof allowed === 'boolean'
        ? { tasks: allowed, timers: allowed, connections: allowed, failures: allowed }
        : allowed;
  }

  /** What a live task awaits is that one's business: the outermost ones say enough. */
  addTasks(loop: EventLoop, main: Task<unknown>): void {
    if (this.allowed.tasks) return;
    for (const { name, site } of taskTree(loop)) {
      if (name !== main.name) this.found.push(`task ${name} still runs${place(site)}`);
    }
  }

  addTimers(clock: VirtualClock): void {
    if (this.allowed.timers) return;
    for (const { when, site } of clock.pendingTimers()) {
      this.found.push(`a timer is set for ${when} ms, in ${when - clock.now()} ms${place(site?.stack)}`);
    }
    for (const { ms, site } of clock.foreign.pendingIntervals()) {
      this.found.push(`a real setInterval of ${ms} ms is set${place(site?.stack)}`);
    }
  }

  async addConnections(connections: Connections): Promise<void> {
    if (this.allowed.connections) return;
    for (const { peer, site } of await connections.leftOpen(CLOSING)) {
      this.found.push(`a connection is open: ${peer}${place(site.stack)}`);
    }
  }

  addFailure(message: string, exception: unknown): void {
    if (this.allowed.failures) return;
    this.cause ??= exception;
    const text = exception instanceof Error ? (exception.stack ?? exception.message) : String(exception);
    this.found.push(`${message}: ${text.split('\n').join('\n    ')}`);
  }

  /** @throws {@link LeakError} if there is anything. */
  check(): void {
    if (this.found.length === 0) return;
    const options = this.cause === undefined ? undefined : { cause: this.cause };
    throw new LeakError(
      `The test leaves something behind. Await it, cancel or close it, or say so with allowLeaks.\n` +
        this.found.map((each) => `- ${each}`).join('\n'),
      options,
    );
  }
}
