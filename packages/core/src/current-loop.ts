import type { EventLoop } from './loop.ts';
import { registry } from './registry.ts';

/** The loop of the current task or callback; outside of both, the process's default loop, which always exists. */
export function currentLoop(): EventLoop {
  const scope = registry.context.getStore();
  if (scope !== undefined) return scope.loop;
  registry.defaultLoop ??= (registry.makeDefaultLoop as () => EventLoop)();
  return registry.defaultLoop;
}
