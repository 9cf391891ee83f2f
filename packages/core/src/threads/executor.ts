import type { Future } from '../future.ts';
import type { WorkerFn } from './worker-fn.ts';

/** Something that runs functions elsewhere: what `loop.runInExecutor` takes. */
export interface Executor {
  /** Runs `fn(...args)` elsewhere. The Future gives what it returns; a cancel of the Future ends the work. */
  submit<A extends unknown[], R>(fn: ((...args: A) => R) | WorkerFn<(...args: A) => R>, ...args: A): Future<Awaited<R>>;
}
