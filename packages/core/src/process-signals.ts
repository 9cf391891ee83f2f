/**
 * SIGINT and SIGTERM for everything that `run()` runs: the first signal cancels every main, and once the last of them has
 * ended it is sent again, so that the exit status is the signal's. One listener for all: with one each, every one of them
 * would take the others for somebody else who listens, and Ctrl-C would do nothing.
 */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Marks the listener, for other copies of core. */
const OURS = Symbol.for('aiokit.signals');

type Callback = (signal: NodeJS.Signals) => void;
const listening = new Set<Callback>();
/** Those that were cancelled by a signal and have not ended yet. */
const ending = new Set<Callback>();
/** Those that have, and wait for the others. */
const ended: (() => void)[] = [];

const onSignal = Object.assign(
  (signal: NodeJS.Signals) => {
    if (process.listeners(signal).some((listener) => !(OURS in listener))) return;
    const callbacks = [...listening];
    for (const callback of callbacks) {
      ending.add(callback);
      stopListening(callback);
    }
    for (const callback of callbacks) callback(signal);
  },
  { [OURS]: true },
);

/**
 * Calls back at the first SIGINT or SIGTERM, unless somebody else listens for it. After the first one the default is back:
 * a second one ends the process at once.
 */
export function onSignals(callback: Callback): () => void {
  if (listening.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  listening.add(callback);
  return () => stopListening(callback);
}

/**
 * Whoever was called back has ended. The last of them sends the signal again; the others wait for it, or their errors could
 * end the process while somebody still cleans up.
 */
export function sendAgain(callback: Callback, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    ended.push(resolve);
    ending.delete(callback);
    if (ending.size > 0) return;
    process.kill(process.pid, signal);
    for (const each of ended.splice(0)) each();
  });
}

function stopListening(callback: Callback): void {
  if (listening.delete(callback) && listening.size === 0)
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
}
