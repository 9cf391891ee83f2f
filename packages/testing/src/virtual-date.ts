import type { VirtualClock } from './virtual-clock.ts';

/** A `Date` whose "now" is the clock's, wherever there is one. */
export function virtualDate(real: DateConstructor, ambientClock: () => VirtualClock | null): DateConstructor {
  const now = () => ambientClock()?.wallTime() ?? real.now();
  return new Proxy(real, {
    apply: () => new real(now()).toString(),
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
  });
}
