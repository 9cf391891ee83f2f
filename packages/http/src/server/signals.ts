const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** What {@link closeOnSignals} gives back. */
export interface ClosingSignals {
  /** Whether one has come. */
  haveCome(): boolean;
  /** No longer listens for them. */
  ignore(): void;
}

/**
 * The first signal closes; then the process ends by that signal, so that its exit status says so. A second one ends it at
 * once, after `atOnce`.
 */
export function closeOnSignals(server: { close(): Promise<void> }, atOnce: () => void = () => {}): ClosingSignals {
  let isClosing = false;
  const ignore = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const endBy = (signal: NodeJS.Signals) => {
    ignore();
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
  return { haveCome: () => isClosing, ignore };
}
