/**
 * Time that stays real. Servers start and stop on the machine's clock, also while a test has put its virtual clock
 * in place of the global timers: what is needed of them is taken here, once, at import.
 */
const { setTimeout: startTimer, setImmediate: startTurn } = globalThis;

/** Resolves after `ms` real milliseconds. */
export function delay(ms: number, { keepsProcess = true }: { keepsProcess?: boolean } = {}): Promise<void> {
  return new Promise((resolve) => {
    const timer = startTimer(resolve, ms);
    if (!keepsProcess) timer.unref();
  });
}

/** Resolves in the event loop's next turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    startTurn(resolve);
  });
}

/** Milliseconds on the real monotonic clock. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** Asks `condition` every `every` ms until it holds, and says whether it did within `limit` ms. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  { every = 5, limit }: { every?: number; limit: number },
): Promise<boolean> {
  const end = now() + limit;
  while (!(await condition())) {
    if (now() > end) return false;
    await delay(every);
  }
  return true;
}
