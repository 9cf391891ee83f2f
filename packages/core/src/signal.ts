/** Signals at the border: reading the ambient cancel as an AbortSignal, and taking a user's signal as a cause of cancels. */
import { cancelIn } from './cancelled.ts';
import { checkFunction, checkSignal } from './check.ts';
import { currentLoop } from './current-loop.ts';
import { makeCancel } from './future.ts';
import { registry } from './registry.ts';
import {
  cancelScope,
  cancelsAround,
  closeWithin,
  currentScope,
  NestedScope,
  peekPending,
  signalOf,
  takePending,
} from './scope.ts';

/**
 * A signal that aborts when the current task, or a timeout or group around this code, is cancelled; outside of any it never
 * aborts. It belongs to one cancel: after delivery a new one is made, so that cleanup can use it. Where the work can be
 * awaited, `abortable` is the better bridge: it waits until the work has stopped.
 */
export function currentSignal(): AbortSignal {
  const scope = currentScope();
  return scope === null ? new AbortController().signal : signalOf(scope);
}

/**
 * Runs `body` so that the signal's abort cancels everything in it. An abort rejects with the signal's own `reason`, once the
 * body has ended: as with a task's cancel, a body that waits in a foreign promise meets it at its next wait (a `timeout` around it
 * does not wait for that).
 *
 * @throws `signal.reason`, also at once if the signal is aborted already.
 */
export function withSignal<R>(signal: AbortSignal, body: () => R): Promise<Awaited<R>> {
  checkSignal(signal, 'signal');
  checkFunction(body, 'body');
  return runWithSignal(signal, body);
}

async function runWithSignal<R>(signal: AbortSignal, body: () => R): Promise<Awaited<R>> {
  signal.throwIfAborted();
  const parent = currentScope();
  const cancelsAtEntry = cancelsAround(parent);
  const scope = new NestedScope(currentLoop(), parent);
  const abort = () => void cancelScope(scope, makeCancel(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await registry.context.run(scope, async () => body());
  } catch (error) {
    const isOwn = scope.cancels > 0 && cancelIn(error, scope) !== null && cancelsAround(parent) <= cancelsAtEntry;
    throw isOwn ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', abort);
    closeWithin(scope, cancelsAtEntry);
  }
}

/**
 * Throws if the current task (or a timeout or group around this code) is being cancelled: a cancel that no wait has met yet,
 * or one that was delivered and swallowed on its way, by `Promise.allSettled` say.
 */
export function throwIfCancelled(): void {
  const scope = currentScope();
  if (scope === null) return;
  if (peekPending(scope) !== null) {
    const taken = takePending(scope);
    if (taken !== null) throw taken.error;
  }
  for (let s: typeof scope | null = scope; s !== null; s = s.parent) {
    const error = s.cancels > 0 ? s.sent?.at(-1) : undefined;
    if (error !== undefined) throw error;
  }
}
