import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Link, LinkListener } from './pool-worker.ts';
import { type Call, type Message, WORKER_DATA } from './protocol.ts';
import { transfersOf } from './transfer-lists.ts';
import { WORKER_FILE } from './worker-file.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';

export type ThreadPoolOptions = WorkerPoolOptions;

/**
 * Runs functions in worker threads.
 *
 * A cancel ends the thread of a job that runs: V8 stops JavaScript within a millisecond or so; a native call that blocks
 * (`execSync`, `pbkdf2Sync`) is waited for. Where that is too long, take a {@link ProcessPoolExecutor}.
 *
 * `maxWorkers` is the number of cores plus 4, at most 32, as in Python: threads are for calls that block, too.
 *
 * @example
 * ```ts
 * await using pool = new ThreadPoolExecutor({ maxWorkers: 2 });
 * const sum = await pool.submit((a: number, b: number) => a + b, 1, 2);
 * console.log(sum); // => 3
 * ```
 *
 * @see https://docs.python.org/3/library/concurrent.futures.html#threadpoolexecutor
 */
export class ThreadPoolExecutor extends WorkerPool {
  override readonly kind = 'thread';
  private readonly options: ThreadPoolOptions;

  constructor(options: ThreadPoolOptions = {}) {
    super(options, { name: 'ThreadPoolExecutor', maxWorkers: Math.min(32, availableParallelism() + 4) });
    this.options = options;
  }

  protected override open(listener: LinkListener, name: string): Link {
    return new Thread(listener, name, this.options);
  }
}

class Thread implements Link {
  // No `resourceLimits`: on Node 26.10 a thread that reaches them often hangs, and cannot be terminated any more.
  private readonly worker: Worker;

  constructor(listener: LinkListener, name: string, { execArgv, env }: ThreadPoolOptions) {
    // As text: a program that was itself given as text (`node --input-type=module --eval …`) can start no file.
    const worker = new Worker(`import(${JSON.stringify(WORKER_FILE)})`, {
      eval: true,
      name,
      workerData: WORKER_DATA,
      ...(execArgv === undefined ? {} : { execArgv }),
      ...(env === undefined ? {} : { env }),
    });
    let error: unknown;
    worker.on('message', (message: Message) => listener.message(message));
    worker.on('error', (thrown) => {
      error = thrown;
    });
    worker.on('exit', (exitCode) => listener.exit({ exitCode, signal: null, error }));
    this.worker = worker;
  }

  send(call: Call): void {
    this.worker.postMessage(call, transfersOf(call.args));
  }

  kill(): void {
    void this.worker.terminate();
  }

  end(): void {
    void this.worker.terminate();
  }

  keepAlive(on: boolean): void {
    if (on) this.worker.ref();
    else this.worker.unref();
  }
}
