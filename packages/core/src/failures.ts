/**
 * Failures that nobody has taken: errors never pass in silence.
 *
 * A failed task is reported when it is collected, when its loop closes, or at exit; not earlier, since somebody may still
 * await it. Only failed futures that nobody waited for come here, so the bookkeeping costs nothing elsewhere.
 */
import { place } from './debug.ts';
import type { Future } from './future.ts';
import type { EventLoop } from './loop.ts';
import { registry } from './registry.ts';

interface Failure {
  readonly what: string;
  /** Debug mode: where it was made. */
  readonly site: string;
  readonly exception: unknown;
  readonly future: WeakRef<Future<unknown>>;
}

export class Failures {
  private readonly loop: EventLoop;
  private readonly byFuture = new WeakMap<Future<unknown>, Failure>();
  private readonly open = new Set<Failure>();
  private readonly collected = new FinalizationRegistry<Failure>((failure) => this.report(failure));
  private reportsAtExit = false;

  constructor(loop: EventLoop) {
    this.loop = loop;
  }

  get size(): number {
    return this.open.size;
  }

  add(future: Future<unknown>): void {
    const failure: Failure = {
      what: future.describe(),
      site: place(future._site),
      exception: future._value,
      future: new WeakRef(future),
    };
    // Until it is read, V8's unformatted stack holds the receivers of its frames, this very task among them.
    void (failure.exception as Error | null)?.stack;
    this.byFuture.set(future, failure);
    this.open.add(failure);
    this.collected.register(future, failure, failure);
    // A loop of run()'s is closed by it; the default loop ends with the process.
    if (!this.reportsAtExit && registry.defaultLoop === this.loop) {
      this.reportsAtExit = true;
      process.once('exit', () => this.reportAll());
    }
  }

  delete(future: Future<unknown>): void {
    const failure = this.byFuture.get(future);
    if (failure === undefined) return;
    this.byFuture.delete(future);
    this.open.delete(failure);
    this.collected.unregister(failure);
  }

  reportAll(): void {
    for (const failure of [...this.open]) this.report(failure);
  }

  private report(failure: Failure): void {
    if (!this.open.delete(failure)) return;
    this.collected.unregister(failure);
    const future = failure.future.deref();
    this.loop.callExceptionHandler({
      message: `The exception of ${failure.what} was never retrieved${failure.site}`,
      exception: failure.exception,
      future,
      task: future !== undefined && 'cancelling' in future ? (future as never) : undefined,
    });
  }
}
