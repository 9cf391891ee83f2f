/**
 * WAIT and WAITAOF in a task: they are about what their connection has written, so they stay on the shared one, and hold up
 * all who share it. A deadline becomes their limit; one without any limit is told loudly.
 */
import { currentDeadline, getRunningLoop } from '@aiokit/core';

/** @param name of the command; null where it is the first argument. */
export function limitWait(name: string | null, args: unknown[]): void {
  const command = name ?? args[0];
  if (typeof command !== 'string' || !/^wait(aof)?$/i.test(command)) return;
  const index = args.length - (typeof args.at(-1) === 'function' ? 2 : 1);
  const limit = Number(String(args[index]));
  const { clock } = getRunningLoop();
  const deadline = clock.real ? currentDeadline() : null;
  if (deadline !== null) {
    const left = Math.max(1, Math.ceil(deadline - clock.now()));
    if (limit === 0 || left < limit) args[index] = left;
  } else if (limit === 0) {
    warn(command);
  }
}

let hasWarned = false;

function warn(command: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `${command.toUpperCase()} without a limit holds up everybody who uses this connection until the replicas have answered. ` +
      'Give it a limit, or a timeout around it, or write and wait on a connection of its own (redis.duplicate()).',
    { code: 'AIOKIT_REDIS_WAIT', type: 'AiokitWarning' },
  );
}
