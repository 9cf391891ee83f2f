import { type Operation, trackIO } from '../activity.ts';
import { Bridge } from '../bridge.ts';
import { checkFunction, shown } from '../check.ts';
import { CancelledError } from '../errors.ts';
import type { Future } from '../future.ts';
import { decodeError } from './decode-error.ts';
import type { Call, Message } from './protocol.ts';
import type { WorkerFn } from './worker-fn.ts';

/** Who ends the work of a job. */
interface Stopper {
  stop(job: Job<unknown>): void;
}

/** One call of a function in a worker, from its place in line to the answer. */
export class Job<T> extends Bridge<T> {
  readonly call: Call;
  /** The pool's line. */ next: Job<unknown> = this;
  previous: Job<unknown> = this;
  private readonly pool: Stopper;
  private readonly operation: Operation;

  constructor(call: Call, kind: string, pool: Stopper) {
    super();
    this.call = call;
    this.pool = pool;
    this.operation = trackIO(kind, { label: this.label });
  }

  /** The function's name, for reports. */
  get label(): string {
    return this.call.name || 'an anonymous function';
  }

  /** Ends it by what the worker said. */
  answer(message: Extract<Message, { type: 'value' | 'error' }>): void {
    if (this.done()) return;
    if (message.type === 'value') return this.setResult(message.value as T);
    const error = decodeError(message.error);
    if (error instanceof CancelledError) this.setCancelled(this.cancelRequest ?? error);
    else this.setException(error);
  }

  fail(error: Error): void {
    if (!this.done()) this.setException(error);
  }

  /** The worker has ended: because of a cancel, or by itself. */
  lost(error: () => Error): void {
    if (this.cancelRequest !== null) this.setCancelled();
    else this.fail(error());
  }

  override get [Symbol.toStringTag](): string {
    return `${this.operation.kind} ${this.label}`;
  }

  /** @internal */
  override _finish(state: Future<T>['_state'], value: unknown): boolean {
    const ended = super._finish(state, value);
    if (ended) this.operation.end();
    return ended;
  }

  protected override onCancel(): void {
    this.pool.stop(this);
  }
}

/** What is sent for a function: where it lies, or its source text. */
export function callOf(fn: ((...args: never[]) => unknown) | WorkerFn<unknown>, args: readonly unknown[]): Call {
  if (typeof fn === 'object' && fn !== null && typeof fn.module === 'string') {
    return { name: fn.name, module: fn.module, source: '', args };
  }
  checkFunction(fn, 'fn');
  const source = Function.prototype.toString.call(fn);
  if (/^class\b/.test(source) || /\{\s*\[native code\]\s*\}$/.test(source)) {
    throw new TypeError(
      `fn must be a function whose source text can be sent, or a workerFn(…), got ${shown(fn)}, which is a class, ` +
        'bound or built in. Wrap it: (...args) => …',
    );
  }
  return { name: fn.name, module: null, source, args };
}
