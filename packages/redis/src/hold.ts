/**
 * Hold: something on the server that is ours for a time and must be renewed: a lock, or one of a semaphore's slots.
 *
 * Time is judged by our own monotonic clock, counted from before each request, and a tenth of the ttl (at most a second) is
 * left over: we give it up before the server does, also when our clock runs a little slower or our timers are late. What a
 * paused process can do beyond that, a fencing token must catch: give it to the resource, and let the resource refuse a
 * token that is lower than one it has seen.
 */
import {
  createTask,
  detached,
  getRunningLoop,
  protect,
  rethrowCancelled,
  sleep,
  type Task,
  timeout,
  timeoutAt,
  withSignal,
} from '@aiokit/core';
import { LockLostError } from './errors.ts';

/** How one is taken, renewed and given back on the server. Each is one script, so atomic. */
export interface Holding {
  readonly name: string;
  /** In ms. */
  readonly ttl: number;
  /** Resolves to the token; or, if it is taken, to at most 0: minus the ms until it may be free. */
  take(owner: string): Promise<number>;
  renew(owner: string): Promise<boolean>;
  giveBack(owner: string): Promise<unknown>;
}

/** A cleanup that the server does not answer is not waited for longer than this, in ms: the ttl sees to it. */
const CLEANUP = 2_000;

/** How long before the server forgets what is asked for at `asked` we take it for lost. Both in ms of the loop's clock. */
export function goodUntil(asked: number, ttl: number): number {
  return asked + ttl - Math.min(ttl / 10, 1_000);
}

/** It is ours. Given to the body of `lock(…)`, and by `acquire()`. */
export class Hold implements AsyncDisposable {
  /** Grows from holder to holder: give it to what the lock protects, and have it refuse a lower one than it has seen. */
  readonly token: number;
  private readonly holding: Holding;
  private readonly owner: string;
  private readonly lost = new AbortController();
  private renewal: Task<void> | null;
  private goodUntil: number;

  /** @internal */
  constructor(holding: Holding, owner: string, token: number, goodUntil: number) {
    this.holding = holding;
    this.owner = owner;
    this.token = token;
    this.goodUntil = goodUntil;
    this.renewal = detached(() => createTask(() => this.keep(), { name: `renew ${holding.name}` }));
  }

  /** Aborts, with a {@link LockLostError}, when it is lost. */
  get signal(): AbortSignal {
    return this.lost.signal;
  }

  /** Whether it is ours, as far as our clock can tell. */
  isHeld(): boolean {
    return this.renewal !== null && !this.lost.signal.aborted && getRunningLoop().time() < this.goodUntil;
  }

  /** Gives it back, if it is still ours. A cancel waits for that, at most two seconds. */
  async release(): Promise<void> {
    const { renewal } = this;
    if (renewal === null) return;
    this.renewal = null;
    renewal.cancel();
    if (this.lost.signal.aborted) return;
    // It is forgotten after its ttl anyhow, so an error or no answer is no reason to fail what was done under it.
    await protect(() => timeout(CLEANUP, () => this.holding.giveBack(this.owner)).catch(rethrowCancelled));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** @internal Runs the body; everything in it is cancelled when the lock is lost. */
  async run<R>(body: (hold: Hold) => R): Promise<Awaited<R>> {
    try {
      return await withSignal(this.lost.signal, () => body(this));
    } finally {
      await this.release();
    }
  }

  private async keep(): Promise<void> {
    const { ttl } = this.holding;
    const loop = getRunningLoop();
    for (let pause = ttl / 3; ; ) {
      await sleep(Math.min(pause, this.goodUntil - loop.time()));
      const asked = loop.time();
      if (asked >= this.goodUntil) return this.lose('it could not be renewed in time');
      try {
        const renewed = await timeoutAt(this.goodUntil, () => this.holding.renew(this.owner));
        if (!renewed) return this.lose('the server has forgotten it, or given it to somebody else');
        this.goodUntil = goodUntil(asked, ttl);
        pause = ttl / 3;
      } catch (error) {
        rethrowCancelled(error);
        pause = Math.min(ttl / 20, 100); // A reconnect may still come in time.
      }
    }
  }

  private lose(why: string): void {
    this.lost.abort(new LockLostError(this.holding.name, why));
  }
}
