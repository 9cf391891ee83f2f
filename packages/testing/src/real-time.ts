/**
 * Time that stays real, also while a test has put its virtual clock, or vitest its fake timers, in place of the globals:
 * what the clock itself, the servers and the proxy need is taken here, once, at import.
 */
const {
  setTimeout: startTimer,
  clearTimeout: stopTimer,
  setInterval: startTicking,
  setImmediate: startTurn,
  performance: stopwatch,
  Date: Calendar,
} = globalThis;

export const realSetTimeout = startTimer;
export const realClearTimeout = stopTimer;
export const realSetInterval = startTicking;
export const realSetImmediate = startTurn;
const readStopwatch = stopwatch.now.bind(stopwatch);
const readCalendar = Calendar.now.bind(Calendar);

/** Milliseconds on the real monotonic clock. */
export function realNow(): number {
  return readStopwatch();
}

/** Milliseconds since 1970 on the real wall clock. */
export function realWallTime(): number {
  return readCalendar();
}

/** How many I/O events Node has processed so far: unchanged over a turn means that nothing arrived. */
export function ioEvents(): number {
  return stopwatch.nodeTiming.uvMetricsInfo.events;
}

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

/** Asks `condition` every `every` ms until it holds, and says whether it did within `limit` ms. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  { every = 5, limit }: { every?: number; limit: number },
): Promise<boolean> {
  const end = realNow() + limit;
  while (!(await condition())) {
    if (realNow() > end) return false;
    await delay(every);
  }
  return true;
}
