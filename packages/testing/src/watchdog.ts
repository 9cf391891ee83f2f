/**
 * Catches a step that never yields: then no timer of the main thread fires, and no runner can say what hangs.
 *
 * A thread watches a counter that the main thread moves in each turn. When it stands still, the thread stops the main thread
 * through the inspector, reads there which task runs and where, and ends that step (Node 24 and newer; on 22 this would end
 * the process, so it only tells stderr).
 */
import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import { StuckStepError } from './errors.ts';
import { realSetInterval } from './real-time.ts';
import { BEAT, LENGTH, LIMIT, TEXT, type WatchdogMemory, watchMainThread } from './watchdog-thread.ts';

/** A step is looked for so often within the limit. */
const LOOKS = 4;

interface Watched {
  readonly limit: number;
  readonly onStuck: (error: StuckStepError) => void;
}

/** One per process, begun by the first test. */
class Watchdog {
  private readonly watched = new Set<Watched>();
  private readonly memory: WatchdogMemory = {
    numbers: new Int32Array(new SharedArrayBuffer(4 * TEXT)),
    text: new Uint8Array(new SharedArrayBuffer(16_384)),
  };

  constructor(limit: number) {
    const canEndSteps = Number(process.versions.node.split('.')[0]) >= 24;
    const worker = new Worker(`(${watchMainThread})(require('node:worker_threads').workerData)`, {
      eval: true,
      workerData: { memory: this.memory, canEndSteps, indices: { BEAT, LIMIT, LENGTH } },
      execArgv: [],
      env: {},
    });
    worker.unref();
    realSetInterval(() => this.turn(), limit / LOOKS).unref();
  }

  watch(limit: number, onStuck: (error: StuckStepError) => void): () => void {
    const watched = { limit, onStuck };
    this.watched.add(watched);
    this.update();
    return () => {
      this.watched.delete(watched);
      this.update();
    };
  }

  private update(): void {
    const limits = [...this.watched].map(({ limit }) => limit);
    Atomics.add(this.memory.numbers, BEAT, 1);
    Atomics.store(this.memory.numbers, LIMIT, limits.length === 0 ? 0 : Math.min(...limits));
  }

  private turn(): void {
    const { numbers, text } = this.memory;
    Atomics.add(numbers, BEAT, 1);
    const length = Atomics.exchange(numbers, LENGTH, 0);
    if (length === 0) return;
    const error = new StuckStepError(new TextDecoder().decode(text.slice(0, length)));
    for (const { onStuck } of this.watched) onStuck(error);
  }
}

let watchdog: Watchdog | null = null;

/**
 * Watches for a step that holds the process for more than `limit` real ms, until the function returned is called. A debugger
 * holds steps on purpose: then it does nothing.
 */
export function watchForStuckSteps(limit: number, onStuck: (error: StuckStepError) => void): () => void {
  if (limit === 0 || !Number.isFinite(limit) || debuggerUrl() !== undefined) return () => {};
  watchdog ??= new Watchdog(limit);
  return watchdog.watch(limit, onStuck);
}
