const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * The first signal closes; then the process ends by that signal, so that its exit status says so. A second one ends it at
 * once, after `atOnce`.
 *
 * @returns stops listening.
 */
export function closeOnSignals(server: { close(): Promise<void> }, atOnce: () => void = () => {}): () => void {
  let isClosing = false;
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const endBy = (signal: NodeJS.Signals) => {
    stop();
    process.kill(process.pid, signal);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (isClosing) {
      atOnce();
      endBy(signal);
      return;
    }
    isClosing = true;
    server.close().finally(() => endBy(signal));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return stop;
}
