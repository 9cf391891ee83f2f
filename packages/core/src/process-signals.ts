/**
 * SIGINT and SIGTERM for everything that `run()` runs: the first signal cancels every main, and once the last of them has
 * ended it is sent again, so that the exit status is the signal's. One listener for all, of every copy of core: with one each,
 * every one of them would take the others for somebody else who listens, and Ctrl-C would do nothing.
 */
import { registry } from './registry.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

type Callback = (signal: NodeJS.Signals) => void;

export class ProcessSignals {
  private readonly listening = new Set<Callback>();
  /** Those that were cancelled by a signal and have not ended yet. */
  private readonly ending = new Set<Callback>();
  /** Those that have, and wait for the others. */
  private readonly ended: (() => void)[] = [];

  /**
   * Calls back at the first SIGINT or SIGTERM, unless somebody else listens for it. After the first one the default is back:
   * a second one ends the process at once.
   */
  listen(callback: Callback): () => void {
    if (this.listening.size === 0) for (const signal of SIGNALS) process.on(signal, this.onSignal);
    this.listening.add(callback);
    return () => this.stopListening(callback);
  }

  /**
   * Whoever was called back has ended. The last of them sends the signal again; the others wait for it, or their errors could
   * end the process while somebody still cleans up.
   */
  sendAgain(callback: Callback, signal: NodeJS.Signals): Promise<void> {
    return new Promise((resolve) => {
      this.ended.push(resolve);
      this.ending.delete(callback);
      if (this.ending.size > 0) return;
      process.kill(process.pid, signal);
      for (const each of this.ended.splice(0)) each();
    });
  }

  private readonly onSignal = (signal: NodeJS.Signals): void => {
    if (process.listeners(signal).some((listener) => listener !== this.onSignal)) return;
    const callbacks = [...this.listening];
    for (const callback of callbacks) {
      this.ending.add(callback);
      this.stopListening(callback);
    }
    for (const callback of callbacks) callback(signal);
  };

  private stopListening(callback: Callback): void {
    if (this.listening.delete(callback) && this.listening.size === 0)
      for (const signal of SIGNALS) process.removeListener(signal, this.onSignal);
  }
}

/** The one of this process. */
export function processSignals(): ProcessSignals {
  registry.signals ??= new ProcessSignals();
  return registry.signals;
}
