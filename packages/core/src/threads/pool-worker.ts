import { decodeError } from './decode-error.ts';
import type { EncodedError } from './encode-error.ts';
import { encodeError } from './encode-error.ts';
import type { Job } from './job.ts';
import type { Call, Message } from './protocol.ts';
import { WorkerDiedError } from './worker-died-error.ts';

/** A thread or a process. */
export interface Link {
  /** @throws DataCloneError if an argument cannot be sent. */
  send(call: Call): void;
  /** Ends it at once, whatever it does. */
  kill(): void;
  /** Ends it while it waits for work. */
  end(): void;
  /** Whether it keeps this process alive. */
  keepAlive(on: boolean): void;
}

/** What a link tells. `exit` is the last, when the worker has really ended and everything that it said was told. */
export interface LinkListener {
  message(message: Message): void;
  exit(end: { exitCode: number | null; signal: string | null; error?: unknown }): void;
}

/** What a worker tells its pool. */
interface Owner {
  readonly kind: string;
  workerIsFree(worker: PoolWorker): void;
  workerHasEnded(worker: PoolWorker, startFailure: Error | null): void;
  workerFailedIdle(error: Error): void;
}

/** One worker of a pool: starting → idle ⇄ running → ending. It holds its slot until it has really ended. */
export class PoolWorker implements LinkListener {
  state: 'starting' | 'idle' | 'running' | 'ending' = 'starting';
  private readonly owner: Owner;
  private readonly link: Link;
  private readonly idleTimer: NodeJS.Timeout;
  private job: Job<unknown> | null = null;
  private crash: EncodedError | null = null;

  constructor(owner: Owner, open: (listener: LinkListener) => Link, idleTimeout: number) {
    this.owner = owner;
    this.link = open(this);
    this.idleTimer = setTimeout(() => this.state === 'idle' && this.dismiss(false), idleTimeout).unref();
  }

  /** @throws DataCloneError if an argument cannot be sent; then it is still idle. */
  run(job: Job<unknown>): void {
    this.link.send(job.call);
    this.job = job;
    this.state = 'running';
    this.link.keepAlive(true);
  }

  runs(job: Job<unknown>): boolean {
    return this.job === job;
  }

  cancelJob(reason: string): void {
    this.job?.cancel(reason);
  }

  /** Waits for work. It does not keep the process alive, and after a time without work it ends. */
  rest(): void {
    this.state = 'idle';
    this.link.keepAlive(false);
    this.idleTimer.refresh();
  }

  kill(): void {
    this.state = 'ending';
    this.link.keepAlive(true);
    this.link.kill();
  }

  /** Ends it if it has no work. `awaited`: somebody waits for its end, so that the process must live to see it. */
  dismiss(awaited: boolean): void {
    if (this.state === 'starting') return this.kill();
    if (awaited) this.link.keepAlive(true);
    if (this.state !== 'idle') return;
    this.state = 'ending';
    this.link.end();
  }

  message(message: Message): void {
    switch (message.type) {
      case 'ready':
        if (this.state === 'starting') this.owner.workerIsFree(this);
        return;
      case 'value':
      case 'error': {
        const job = this.job;
        this.job = null;
        job?.answer(message);
        if (this.state === 'running') this.owner.workerIsFree(this);
        return;
      }
      case 'crash':
        this.crash = message.error;
    }
  }

  exit(end: Parameters<LinkListener['exit']>[0]): void {
    clearTimeout(this.idleTimer);
    const { state, job, crash } = this;
    if (crash === null && end.error !== undefined) this.crash = encodeError(end.error);
    this.state = 'ending';
    this.job = null;
    job?.lost(() => this.died(`while it ran ${job.label}`, end));
    if (state === 'idle') this.owner.workerFailedIdle(this.died('while it had no job', end));
    this.owner.workerHasEnded(this, state === 'starting' ? this.died('before it had started', end) : null);
  }

  private died(when: string, end: { exitCode: number | null; signal: string | null }): WorkerDiedError {
    const cause = this.crash === null ? undefined : decodeError(this.crash);
    return new WorkerDiedError(`A worker ${this.owner.kind} ended ${when}: ${this.reason(cause, end)}`, {
      ...end,
      cause,
    });
  }

  private reason(
    cause: Error | undefined,
    { exitCode, signal }: { exitCode: number | null; signal: string | null },
  ): string {
    if (cause !== undefined) return `${cause.name}: ${cause.message}`;
    if (signal !== null) return `it was killed by ${signal}`;
    return `it exited with code ${exitCode} (process.exit?)`;
  }
}
