/**
 * The leased connections of one client: a bounded number in use, a few at rest, and per node one control connection for
 * CLIENT UNBLOCK. They belong to no task, and end with their client.
 */
import { type Guard, Semaphore } from '@aiokit/core';
import type { RedisOptions } from 'ioredis';
import { Lease } from './lease.ts';

/** How long a connection rests before it is closed, in ms. */
const REST = 10_000;

/** What `redis.leases.statistics()` tells. */
export interface LeaseStatistics {
  /** How many connections run a blocking command. */
  readonly used: number;
  /** How many rest, ready for the next one. */
  readonly resting: number;
  /** How many calls wait for one. */
  readonly waiting: number;
}

export class LeasePool {
  private readonly limit: number;
  private readonly slots: Semaphore;
  private readonly used = new Set<Lease>();
  private readonly resting = new Set<Lease>();
  private readonly controls = new Map<string, Lease>();
  private state: 'open' | 'draining' | 'closed' = 'open';
  private hasWarned = false;
  /** The server forbids CLIENT UNBLOCK to this user: asking again is of no use. */
  cannotUnblock = false;

  constructor(limit: number) {
    this.limit = limit;
    this.slots = new Semaphore(limit);
  }

  /** Waits for a free slot. Cancel the promise (if it is a Future) to leave the line. */
  turn(): Promise<Guard> {
    if (this.slots.locked()) this.warn();
    return this.slots.acquire();
  }

  /** A connection that leads where the options lead. */
  lease(options: RedisOptions): Lease {
    const key = keyOf(options);
    let lease: Lease | undefined;
    for (const each of this.resting) {
      if (!each.isSound()) this.drop(each);
      else if (keyOf(each.options) === key) lease = each;
    }
    if (lease === undefined) lease = new Lease(options);
    else this.resting.delete(lease);
    lease.wake();
    this.used.add(lease);
    return lease;
  }

  giveBack(lease: Lease): void {
    this.used.delete(lease);
    if (this.state === 'open' && lease.isSound()) {
      this.resting.add(lease);
      lease.rest(REST, () => this.drop(lease));
    } else {
      lease.close();
    }
    if (this.state !== 'open' && this.used.size === 0) this.closeControls();
  }

  /** The connection that can name this one to its server. */
  control(lease: Lease): Lease {
    const key = keyOf(lease.options);
    let control = this.controls.get(key);
    if (control === undefined || control.redis.status === 'end') {
      // An UNBLOCK that is sent again after a reconnect would hit whatever is blocked by then.
      control = new Lease({ ...lease.options, retryStrategy: null, autoResendUnfulfilledCommands: false });
      this.controls.set(key, control);
    }
    control.wake();
    control.rest(REST, () => {
      this.controls.delete(key);
      control.close();
    });
    return control;
  }

  /** As `quit()`: nothing new, and what is in use is ended so that nothing is lost. As `disconnect()`: all is cut off now. */
  close(how: 'gently' | 'now'): void {
    if (this.state === 'closed') return;
    this.state = how === 'now' ? 'closed' : 'draining';
    for (const lease of this.resting) this.drop(lease);
    for (const lease of this.used) {
      if (how === 'now') lease.close();
      else lease.onDrain?.();
    }
    if (how === 'now' || this.used.size === 0) this.closeControls();
  }

  /** The client was connected again. */
  reopen(): void {
    this.state = 'open';
  }

  isOpen(): boolean {
    return this.state === 'open';
  }

  statistics(): LeaseStatistics {
    const { waiting } = this.slots.statistics();
    return Object.freeze({ used: this.used.size, resting: this.resting.size, waiting });
  }

  private drop(lease: Lease): void {
    this.resting.delete(lease);
    lease.close();
  }

  private closeControls(): void {
    for (const control of this.controls.values()) control.close();
    this.controls.clear();
  }

  private warn(): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    process.emitWarning(
      `All ${this.limit} connections for blocking commands are in use: further ones wait until one of those ends. ` +
        'Raise the option maxBlockingConnections, or share one reader between tasks through a Queue.',
      { code: 'AIOKIT_REDIS_BLOCKING', type: 'AiokitWarning' },
    );
  }
}

function keyOf({ host, port, path, db }: RedisOptions): string {
  return `${path ?? `${host}:${port}`}/${db ?? 0}`;
}
