import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Link, LinkListener } from './pool-worker.ts';
import { type Call, type Message, WORKER_ARGUMENT } from './protocol.ts';
import { WORKER_FILE } from './worker-file.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';

export interface ProcessPoolOptions extends WorkerPoolOptions {
  /** The directory that the processes work in. Default: this process's. */
  cwd?: string | undefined;
}

/**
 * Runs functions in processes of their own: what crashes there, natively too, or changes the process (its directory, its
 * environment) does no harm here. Dearer than threads: a start costs some 50 ms, and arguments are copied through a pipe.
 *
 * A cancel kills the process of a job that runs (SIGKILL), also in the middle of a native call. `maxWorkers` is the number
 * of cores.
 *
 * @example
 * ```ts
 * await using pool = new ProcessPoolExecutor();
 * const pid = await pool.submit(() => process.pid);
 * console.log(pid !== process.pid); // => true
 * ```
 *
 * @see https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor
 */
export class ProcessPoolExecutor extends WorkerPool {
  override readonly kind = 'process';
  private readonly options: ProcessPoolOptions;
  private readonly living = new Set<Child>();
  /** Children that wait for work see that this process has ended; those that work would go on, for nobody. */
  private readonly killAll = (): void => {
    for (const child of this.living) child.kill();
  };

  constructor(options: ProcessPoolOptions = {}) {
    super(options, { name: 'ProcessPoolExecutor', maxWorkers: availableParallelism() });
    this.options = options;
  }

  protected override open(listener: LinkListener): Link {
    const child: Child = new Child(this.options, {
      message: (message) => listener.message(message),
      exit: (end) => {
        this.living.delete(child);
        if (this.living.size === 0) process.off('exit', this.killAll);
        listener.exit(end);
      },
    });
    if (this.living.size === 0) process.on('exit', this.killAll);
    this.living.add(child);
    return child;
  }
}

class Child implements Link {
  private readonly child: ChildProcess;
  private readonly listener: LinkListener;
  private open = 2;
  private exitCode: number | null = null;
  private signal: string | null = null;

  constructor({ execArgv, env, cwd }: ProcessPoolOptions, listener: LinkListener) {
    this.listener = listener;
    this.child = fork(fileURLToPath(WORKER_FILE), [WORKER_ARGUMENT], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: execArgv ?? optionsForFiles(),
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.child.on('message', (message) => listener.message(message as Message));
    this.child.on('exit', (exitCode, signal) => {
      this.exitCode = exitCode;
      this.signal = signal;
      this.closed();
    });
    // The process may be gone before the pipe is read to its end.
    this.child.on('disconnect', () => this.closed());
    this.child.on('error', (error) => this.failed(error));
  }

  send(call: Call): void {
    this.child.send(call);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  end(): void {
    if (this.child.connected) this.child.disconnect();
  }

  keepAlive(on: boolean): void {
    const handles = [this.child, this.child.channel];
    for (const handle of handles)
      if (on) handle?.ref();
      else handle?.unref();
  }

  /** Of a process that did not start nothing else is told; of one that ended before a message was written its exit is. */
  private failed(error: Error): void {
    if (this.child.pid === undefined) this.listener.exit({ exitCode: null, signal: null, error });
  }

  private closed(): void {
    if (--this.open === 0) this.listener.exit({ exitCode: this.exitCode, signal: this.signal });
  }
}

/** This process's options, without those of a program given as text (`node --input-type=module --eval …`). */
function optionsForFiles(): string[] {
  const isText = /^(-e|-p|-pe|--eval|--print|--input-type)$/;
  const args = process.execArgv;
  return args.filter((arg, i) => !isText.test(arg.replace(/=.*/s, '')) && !isText.test(args[i - 1] ?? ''));
}
