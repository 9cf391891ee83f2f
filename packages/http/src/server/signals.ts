const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * The first signal closes; then the process ends by that signal, so that its exit status says so. A second one ends it at
 * once.
 *
 * @returns stops listening.
 */
export function closeOnSignals(server: { close(): Promise<void> }): () => void {
  const stop = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    stop();
    server.close().finally(() => process.kill(process.pid, signal));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return stop;
}
