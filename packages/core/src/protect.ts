import { Bridge } from './bridge.ts';
import { checkFunction, checkMs, checkOptions } from './check.ts';
import type { ClockTimer } from './clock.ts';
import type { CancelledError } from './errors.ts';
import { createTask, type Task } from './task.ts';

export interface ProtectOptions {
  /** After a cancel, at most this many ms more; then the body is cancelled after all. Default: no limit. */
  grace?: number | undefined;
}

/**
 * Runs `body` to its end even when the surrounding task is cancelled meanwhile; the cancel is delivered at the next `await`
 * after it. (`shield` abandons the work, this waits for it.) For the few steps that must not be cut in two: a COMMIT, a
 * hand-over.
 *
 * @example
 * ```ts
 * await protect(() => releaseLease(lease), { grace: 1_000 });
 * ```
 */
export function protect<R>(body: () => R, options: ProtectOptions = {}): Promise<Awaited<R>> {
  checkFunction(body, 'body');
  checkOptions(options, 'options');
  if (options.grace !== undefined) checkMs(options.grace, 'options.grace');
  return new Protected(body, options.grace ?? Infinity)._promise();
}

class Protected<R> extends Bridge<Awaited<R>> {
  private readonly body: Task<Awaited<R>>;
  private readonly grace: number;
  private timer: ClockTimer | null = null;

  constructor(body: () => R, grace: number) {
    super();
    this.grace = grace;
    this.body = createTask(body, { name: 'protect', eager: true });
    this.body._watch(() => {
      this.timer?.cancel();
      this.body._take();
      if (this.body.cancelled()) this.setCancelled(this.cancelRequest ?? (this.body._value as CancelledError));
      else this._finish(this.body._state, this.body._value);
    }, null);
  }

  protected override onCancel(error: CancelledError): void {
    if (this.grace === Infinity) return;
    const { clock } = this._loop;
    this.timer = clock.setTimer(clock.now() + this.grace, () => void this.body._cancel(error, null));
  }
}
