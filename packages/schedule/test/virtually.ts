import { getRunningLoop, run } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';

/** Runs the body on a loop of its own in virtual time. */
export function virtually<R>(
  body: (clock: VirtualClock) => R,
  start: string = '2026-01-01T00:00:00Z',
): Promise<Awaited<R>> {
  const clock = new VirtualClock({ start });
  return run(() => body(clock), { clock });
}

/** Ms since the body began. */
export function elapsed(): number {
  return Math.round(getRunningLoop().time());
}

/** What the loop's exception handler is told. */
export function reports(): { message: string; exception?: unknown }[] {
  const told: { message: string; exception?: unknown }[] = [];
  getRunningLoop().setExceptionHandler(({ message, exception }) => told.push({ message, exception }));
  return told;
}
