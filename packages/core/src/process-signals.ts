const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Calls back at the first SIGINT or SIGTERM, unless somebody else listens for it. After the first one the default is back:
 * a second one ends the process at once.
 */
export function onSignals(callback: (signal: NodeJS.Signals) => void): () => void {
  const listener = (signal: NodeJS.Signals) => {
    if (process.listenerCount(signal) > 1) return;
    stop();
    callback(signal);
  };
  const stop = () => {
    for (const signal of SIGNALS) process.removeListener(signal, listener);
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return stop;
}
