/**
 * What can be observed through node:diagnostics_channel; free when nobody listens.
 *
 * - `aiokit.schedule.run.start`, `.asyncEnd`, `.error`: `{ job, scheduledFor, attempt, result?, error? }` of each attempt
 * - `aiokit.schedule.missed`: `{ job, count }`, occurrences that passed by without a run
 * - `aiokit.schedule.clock-step`: {@link ClockStep}
 *
 * @see https://nodejs.org/api/diagnostics_channel.html#tracingchannel-channels
 */
import { channel } from 'node:diagnostics_channel';
import type { ClockStep } from './clock-watch.ts';
import type { Job } from './job.ts';
import type { Run } from './run.ts';

const start = channel('aiokit.schedule.run.start');
const asyncEnd = channel('aiokit.schedule.run.asyncEnd');
const failed = channel('aiokit.schedule.run.error');
const missed = channel('aiokit.schedule.missed');
const stepped = channel('aiokit.schedule.clock-step');

export function isTraced(): boolean {
  return start.hasSubscribers || asyncEnd.hasSubscribers || failed.hasSubscribers;
}

export async function tracedRun(run: Run, body: () => unknown): Promise<unknown> {
  const message: Record<string, unknown> = {
    job: run.job,
    scheduledFor: new Date(run.due.scheduledFor),
    attempt: run.attempt,
  };
  start.publish(message);
  try {
    const result = await body();
    message.result = result;
    return result;
  } catch (error) {
    message.error = error;
    failed.publish(message);
    throw error;
  } finally {
    asyncEnd.publish(message);
  }
}

export function traceMissed(job: Job, count: number): void {
  if (missed.hasSubscribers) missed.publish({ job, count });
}

export function traceClockStep(step: ClockStep): void {
  if (stepped.hasSubscribers) stepped.publish(step);
}
