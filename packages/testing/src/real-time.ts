/**
 * Time that stays real, also while a test has put its virtual clock, or vitest its fake timers, in place of the globals:
 * what the clock itself needs is taken here, once, at import.
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
