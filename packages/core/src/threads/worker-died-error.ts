import { brand } from '../errors.ts';

/**
 * The worker ended while it ran the job: it called `process.exit`, crashed, ran out of memory or was killed from
 * outside. `cause` is the exception, if there was one. The pool goes on with another worker.
 */
export class WorkerDiedError extends Error {
  readonly code = 'ERR_WORKER_DIED';
  /** What the worker ended with, or null if a signal ended it. */
  readonly exitCode: number | null;
  /** The signal that ended the process, or null. */
  readonly signal: string | null;

  constructor(message?: string, end: { exitCode?: number | null; signal?: string | null; cause?: unknown } = {}) {
    super(message, end.cause === undefined ? undefined : { cause: end.cause });
    this.exitCode = end.exitCode ?? null;
    this.signal = end.signal ?? null;
  }
}

brand(WorkerDiedError, 'WorkerDiedError');
