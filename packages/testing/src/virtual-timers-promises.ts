/** `node:timers/promises` in virtual time. */

import type { VirtualClock } from './virtual-clock.ts';
import { cancelVirtualTimer, virtualTimeout } from './virtual-timeouts.ts';

interface WaitOptions {
  signal?: AbortSignal;
  ref?: boolean;
}

export function virtualWait<T>(
  clock: VirtualClock,
  ms: number | undefined,
  value: T,
  { signal, ref = true }: WaitOptions = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const timeout = virtualTimeout(clock, end, ms, []) as NodeJS.Timeout;
    if (!ref) timeout.unref();
    signal?.addEventListener('abort', abort, { once: true });

    function end(): void {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    }
    function abort(): void {
      cancelVirtualTimer(timeout);
      reject(abortError(signal as AbortSignal));
    }
  });
}

export async function* virtualIntervals<T>(
  clock: VirtualClock,
  ms: number | undefined,
  value: T,
  options?: WaitOptions,
): AsyncGenerator<T> {
  for (let next = clock.now(); ; ) {
    next += ms ?? 1;
    yield await virtualWait(clock, Math.max(1, next - clock.now()), value, options);
  }
}

function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' });
}
