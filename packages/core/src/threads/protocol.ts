/** What crosses the border between a pool and a worker. A worker has one job at a time, so messages need no numbers. */
import type { EncodedError } from './encode-error.ts';

/** A job, as it is sent. */
export interface Call {
  /** For reports; of a module's function also the name of its export. */
  readonly name: string;
  /** The module that exports the function, or null if its source text is sent. */
  readonly module: string | null;
  readonly source: string;
  readonly args: readonly unknown[];
}

/** What a worker says. */
export type Message =
  | { readonly type: 'ready' }
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'error'; readonly error: EncodedError }
  /** An exception that nobody caught, in a callback say: the worker ends. */
  | { readonly type: 'crash'; readonly error: EncodedError };

/** How a worker thread knows that it is one of a pool's. */
export const WORKER_DATA = 'aiokit worker';
/** How a worker process knows it. Not by its environment: that is inherited by what it starts. */
export const WORKER_ARGUMENT = '--aiokit-worker';
