/**
 * A CancelledError that nobody handles is never fatal.
 *
 * A cancelled task that did `void audit()`, emitted to an async listener or called `task.finally(…)` leaves a native promise
 * that rejects with CancelledError; Node would end the process: one client who leaves would take all others along. So from
 * the first cancel on one `unhandledRejection` listener swallows CancelledErrors, and does for anything else what Node would
 * have done without it.
 */
import { CancelledError } from './errors.ts';
import { registry } from './registry.ts';

export function guardFloatingCancels(): void {
  if (registry.floatingGuard) return;
  registry.floatingGuard = true;
  process.on('unhandledRejection', onUnhandledRejection);
}

function onUnhandledRejection(reason: unknown): void {
  if (reason instanceof CancelledError) {
    if (process.env.AIOKIT_DEBUG === '1') console.error('A floating promise was cancelled:', reason);
    return;
  }
  // Somebody else listens, too: then Node would have done nothing more.
  if (process.listenerCount('unhandledRejection') > 1) return;
  const mode = modeOf(process.execArgv, process.env.NODE_OPTIONS);
  if (mode === 'none' || mode === 'warn') return; // In the latter Node warns whether anybody listens or not.
  if (mode === 'warn-with-error-code') {
    warn(reason);
    process.exitCode = 1;
    return;
  }
  throw reason instanceof Error ? reason : unhandled(reason);
}

function modeOf(args: readonly string[], options = ''): string | undefined {
  const all = [...options.split(/\s+/), ...args].join(' ');
  return /--unhandled-rejections[= ](\S+)/.exec(all)?.[1];
}

function warn(reason: unknown): void {
  process.emitWarning(
    reason instanceof Error ? (reason.stack ?? reason.message) : String(reason),
    'UnhandledPromiseRejectionWarning',
  );
}

function unhandled(reason: unknown): Error {
  const error = new Error(
    'This error originated either by throwing inside of an async function without a catch block, or by rejecting a ' +
      `promise which was not handled with .catch(). The promise rejected with the reason "${String(reason)}".`,
  );
  return Object.assign(error, { code: 'ERR_UNHANDLED_REJECTION' });
}
