import type { EventLoop, Operation } from '@aiokit/core';
import { outsideRun } from './current-run.ts';
import { unnoticed } from './foreign-activity.ts';
import { delay, realClearTimeout, realNow, realSetTimeout } from './real-time.ts';

/** An operation that is in flight for too long. */
export interface Stall {
  readonly kind: string;
  readonly label: string | undefined;
  readonly peer?: string | undefined;
  /** Real ms in flight. */
  readonly age: number;
}

/** For so long, in real ms, a statement is simply slow; then its server is asked whether another session blocks it. */
const ASK_AFTER = 100;
/** A fence that itself shows as activity would be repeated for ever. */
const FENCE_ROUNDS = 3;

interface Entry {
  /** Real time since when it is in flight, or since it was last asked about. */
  readonly since: number;
  askedAt: number;
  blocked: boolean;
  reported: boolean;
}

export interface OperationWatchOptions {
  /** Real ms after which an operation counts as stuck. */
  readonly ioTimeout: number;
  /** Real ms given to peers that cannot be asked what they have sent. */
  readonly quiet: number;
  onChange(): void;
  /** Told, once, of each operation in flight for longer than the limit. */
  onStall(stall: Stall): void;
}

/** Which of a loop's real operations keep its clock from jumping. */
export class OperationWatch {
  private readonly loop: EventLoop;
  private readonly options: OperationWatchOptions;
  private readonly entries = new Map<Operation, Entry>();
  private readonly subscription: Disposable;
  private changes = 0;
  private fencing: Promise<unknown> | null = null;
  private rounds = 0;
  /** The changes up to which everything sent by the servers of open-ended waits has arrived. */
  private fencedAt: number | null = null;

  constructor(loop: EventLoop, options: OperationWatchOptions) {
    this.loop = loop;
    this.options = options;
    this.subscription = loop.activity.onChange(() => this.changed());
  }

  close(): void {
    this.subscription[Symbol.dispose]();
  }

  /** How many open-ended waits there are. */
  get open(): number {
    let count = 0;
    for (const operation of this.loop.activity.operations) if (operation.open) count++;
    return count;
  }

  /** @returns `null` when nothing holds the clock; else in how many real ms to look again, if nothing changes before. */
  check(): number | null {
    const { operations } = this.loop.activity;
    if (operations.size === 0) return null;
    const { ioTimeout } = this.options;
    const now = realNow();
    const served = servedIn(operations);
    let wait: number | null = null;
    for (const operation of operations) {
      const entry = this.entries.get(operation);
      if (entry === undefined || operation.open || operation.served || entry.blocked) continue;
      const handlers = served.get(operation.kind) ?? 0;
      if (handlers > 0) {
        served.set(operation.kind, handlers - 1);
        continue;
      }
      const age = now - entry.since;
      if (age >= ioTimeout && !entry.reported) {
        entry.reported = true;
        this.options.onStall({ kind: operation.kind, label: operation.label, peer: operation.peer?.(), age });
      }
      const ask = this.askWhoBlocks(operation, entry, now);
      const limit = entry.reported ? Infinity : Math.max(1, ioTimeout - age);
      wait = Math.min(wait ?? Infinity, ask, limit);
    }
    return wait;
  }

  /**
   * Sees to it that what servers of open-ended waits sent before has arrived. Nothing that arrived since the last time:
   * nothing can be on its way. A server that cannot be asked is given a short real time.
   *
   * @returns whether there is something to wait for.
   */
  fence(events: number): boolean {
    if (this.fencing !== null) return true;
    const waits = [...this.loop.activity.operations].filter(({ open }) => open);
    const stamp = events + this.changes;
    if (waits.length === 0 || this.fencedAt === stamp) return false;
    if (this.rounds > 0) {
      const { changes } = this;
      const calm = changes === this.changesAtFence;
      if (calm || this.rounds >= FENCE_ROUNDS) {
        this.rounds = 0;
        this.fencedAt = stamp;
        return false;
      }
    }
    this.rounds++;
    this.changesAtFence = this.changes;
    this.fencing = Promise.allSettled(waits.map((wait) => this.ask(wait))).then(() => {
      this.fencing = null;
      this.options.onChange();
    });
    return true;
  }

  private changesAtFence = 0;

  /** Resolves when everything that the peer sent before has arrived. */
  private async ask({ kind, label, peer, fence }: Operation): Promise<void> {
    const { quiet, ioTimeout, onStall } = this.options;
    if (fence === undefined) return unnoticed(() => delay(quiet));
    const what = `${label ?? ''} (asked whether anything is on its way)`;
    const tell = () => onStall({ kind, label: what, peer: peer?.(), age: ioTimeout });
    const late = unnoticed(() => realSetTimeout(tell, ioTimeout));
    try {
      await fence();
    } finally {
      realClearTimeout(late);
    }
  }

  private changed(): void {
    this.changes++;
    const now = realNow();
    const { operations } = this.loop.activity;
    for (const [operation, entry] of this.entries) {
      if (!operations.has(operation)) this.entries.delete(operation);
      else if (entry.blocked) {
        // Whoever held the lock may have let go of it.
        entry.blocked = false;
        entry.askedAt = now;
      }
    }
    for (const operation of operations) {
      if (!this.entries.has(operation)) {
        this.entries.set(operation, { since: now, askedAt: now, blocked: false, reported: false });
      }
    }
    this.options.onChange();
  }

  private askWhoBlocks(operation: Operation, entry: Entry, now: number): number {
    const { blockedBy } = operation;
    if (blockedBy === undefined || entry.askedAt === Infinity) return Infinity;
    const left = entry.askedAt + ASK_AFTER - now;
    if (left > 0) return left;
    entry.askedAt = Infinity; // Until it has answered.
    const answered = (blockers: unknown) => {
      entry.askedAt = realNow();
      entry.blocked = Array.isArray(blockers) ? blockers.length > 0 : Boolean(blockers);
      this.options.onChange();
    };
    // The test has not asked: what it takes to answer is none of its connections.
    Promise.resolve(outsideRun(() => blockedBy())).then(answered, () => answered(false));
    return Infinity;
  }
}

/**
 * How many handlers of this process work, by kind: each stands for one operation of that kind, whose answer it is going to
 * give. Requests that have not reached their handler, and answers that have left it, hold the clock as any other.
 */
function servedIn(operations: ReadonlySet<Operation>): Map<string, number> {
  const served = new Map<string, number>();
  for (const { kind, served: isHandler } of operations) {
    if (isHandler) served.set(kind, (served.get(kind) ?? 0) + 1);
  }
  return served;
}

export function describeStall({ kind, label, peer, age }: Stall): string {
  return `${describeOperation(kind, label, peer)}, in flight for ${Math.round(age)} ms of real time`;
}

/** What is waited for, and from whom: `pg select 1 at localhost:5432`. */
export function describeOperation(kind: string, label: string | undefined, peer: string | undefined): string {
  return `${kind}${label === undefined ? '' : ` ${label}`}${peer === undefined ? '' : ` at ${peer}`}`;
}
