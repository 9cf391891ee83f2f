import { checkFunction } from './check.ts';
import { currentLoop } from './current-loop.ts';
import { registry } from './registry.ts';

/**
 * Runs `fn` without an ambient task: what it starts and awaits belongs to nobody's cancel, timeout or group. For things that
 * outlive the task that happens to make them: pools, reconnects, caches. The loop stays the same.
 *
 * @returns what `fn` returns.
 */
export function detached<R>(fn: () => R): R {
  checkFunction(fn, 'fn');
  return registry.context.run(currentLoop()._context, fn);
}
