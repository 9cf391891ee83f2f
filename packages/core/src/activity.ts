/**
 * What a loop is busy with, for clocks that must not jump while something real is under way, and for reports.
 */
import { currentLoop } from './current-loop.ts';
import type { EventLoop } from './loop.ts';

/** A loop's signs of life. */
export interface LoopActivity {
  /** Grows with every wake-up: unchanged over a whole turn means that nothing ran. */
  readonly epoch: number;
  /** How many steps are ready and wait for their turn. */
  readonly runnable: number;
  /** The real operations in flight. */
  readonly operations: ReadonlySet<Operation>;
  /** Calls back whenever an operation begins or ends. */
  onChange(callback: () => void): Disposable;
}

export interface OperationOptions {
  /** What is waited for, as a report should show it: a statement, a command, a URL. */
  label?: string;
  /** Who is to answer, as `host:port`: asked when a report needs it. */
  peer?: () => string | undefined;
  /** It may last for ever (LISTEN, BLPOP, an accepting socket): it does not hold the clock, but is fenced before a jump. */
  open?: boolean;
  /** Resolves when everything that the peer sent before has arrived (a PING, an empty query). */
  fence?: () => PromiseLike<unknown>;
  /** Whether another session of this loop blocks it (a row lock): then it does not hold the clock. */
  blockedBy?: () => PromiseLike<unknown>;
  /** A server of this process answers it: it does not hold the clock while the handler waits. */
  served?: boolean;
}

/** One wait for a peer. `end()` when the answer is there, after its wake-up was queued. */
export interface Operation extends Readonly<OperationOptions> {
  readonly kind: string;
  /** The loop's time at which it began, in ms. */
  readonly since: number;
  end(): void;
}

/**
 * Reports a real operation, so that virtual time does not jump while it is in flight. Call it before the request is
 * written; call `end()` once the answer has been handed over. One wait for the peer, never the life of a cursor or a body.
 *
 * On a real clock it only names the operation for task trees.
 */
export function trackIO(kind: string, options?: OperationOptions): Operation {
  return currentLoop()._track(kind, options);
}

/** @internal */
export class Activity implements LoopActivity {
  epoch = 0;
  readonly operations = new Set<Operation>();
  private readonly loop: EventLoop;
  private readonly listeners = new Set<() => void>();

  constructor(loop: EventLoop) {
    this.loop = loop;
  }

  get runnable(): number {
    return this.loop._runnable();
  }

  onChange(callback: () => void): Disposable {
    this.listeners.add(callback);
    return { [Symbol.dispose]: () => void this.listeners.delete(callback) };
  }

  begin(kind: string, options: OperationOptions | undefined): Operation {
    const operation: Operation = {
      ...options,
      kind,
      since: this.loop.time(),
      end: () => {
        if (this.operations.delete(operation)) this.changed();
      },
    };
    this.operations.add(operation);
    this.changed();
    return operation;
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}
