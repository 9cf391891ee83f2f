/**
 * Work off the loop's thread, whose cancel ends it for real.
 *
 *   users       to-thread.ts, worker-fn.ts, transfer.ts           one function, run elsewhere
 *   pools       thread-pool-executor.ts, process-pool-executor.ts what a worker is
 *               worker-pool.ts, pool-worker.ts, job.ts            who runs what, and when a slot is free again
 *   the border  protocol.ts, encode-error.ts, decode-error.ts     what crosses it
 *   inside      worker.ts, find-function.ts                       what a worker runs; they load nothing else of core
 *
 * Why own pools: tinypool and piscina are well kept, but on abort both reject at once and give the slot away while the work
 * still runs, both run functions of files only, and structuredClone takes the code, the class and the `errors` of what is
 * thrown; what would be left of them is smaller than the code around it, and core depends on nothing.
 */

export type { Executor } from './executor.ts';
export { ProcessPoolExecutor, type ProcessPoolOptions } from './process-pool-executor.ts';
export { ThreadPoolExecutor, type ThreadPoolOptions } from './thread-pool-executor.ts';
export { toThread } from './to-thread.ts';
export { transfer } from './transfer.ts';
export { WorkerDiedError } from './worker-died-error.ts';
export { type WorkerFn, workerFn } from './worker-fn.ts';
export type { ExecutorStatistics, ShutdownOptions, WorkerPoolOptions } from './worker-pool.ts';
