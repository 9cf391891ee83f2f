/**
 * The runs that an instance holds, each for as long as the engine takes it for alive.
 *
 * An instance that is cut off from the engine is told nothing. So it goes by its own clock, and gives a run up a little
 * before the engine gives it to another: what goes on at both at once is the least that a fleet may do.
 */
export class Leases {
  private readonly held = new Map<string, Lease>();
  private readonly expireAfter: number;
  private readonly timer: NodeJS.Timeout;

  /** @param lockDuration after how many ms without a sign of life the engine gives a run away. */
  constructor(lockDuration: number) {
    this.expireAfter = lockDuration * 0.8;
    this.timer = setInterval(() => this.expire(), lockDuration / 20).unref();
  }

  get size(): number {
    return this.held.size;
  }

  /** Those of now. */
  entries(): [string, Lease][] {
    return [...this.held];
  }

  /** @param attempt which one of this run it is: the engine tells them apart by it. */
  begin(id: string, attempt = 0): Lease {
    // Handed to this very instance again: what goes on here under this id has lost it.
    this.lose(id);
    const lease: Lease = { controller: new AbortController(), attempt, renewedAt: performance.now() };
    this.held.set(id, lease);
    return lease;
  }

  end(id: string, lease: Lease): void {
    if (this.held.get(id) === lease) this.held.delete(id);
  }

  renewed(id: string): void {
    const lease = this.held.get(id);
    if (lease !== undefined) lease.renewedAt = performance.now();
  }

  /** The engine says that somebody else has it. */
  lose(id: string): void {
    this.held.get(id)?.controller.abort();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private expire(): void {
    const now = performance.now();
    for (const { controller, renewedAt } of this.held.values()) {
      if (now - renewedAt > this.expireAfter) controller.abort();
    }
  }
}

export interface Lease {
  readonly controller: AbortController;
  readonly attempt: number;
  /** When the last sign of life was sent, by `performance.now()`. */
  renewedAt: number;
}
