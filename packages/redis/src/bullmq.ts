/**
 * BullMQ is recognised by its scripts, whose names end with its version (`moveToActive:6.7.0`), and the client that has
 * them belongs to no task from then on.
 *
 * Its worker runs loops of its own, which outlive the task that happens to make it: with that task's cancels they would
 * spin for ever (tried: thousands of CancelledErrors in a second).
 */
import { Bridge } from '@aiokit/core';

export interface BullmqClient {
  /** No cancel reaches what is called on it. */
  belongsToNoTask: boolean;
}

export function recogniseBullmq(client: BullmqClient, script: string): void {
  if (client.belongsToNoTask || !/:\d+\.\d+\.\d+/.test(script)) return;
  client.belongsToNoTask = true;
  if (Bridge.isNeeded()) queueMicrotask(() => warn(client));
}

/** For a detached view: its scripts say nothing about the client itself. */
export function unrecognised<R>(client: BullmqClient, define: () => R): R {
  const before = client.belongsToNoTask;
  client.belongsToNoTask = true;
  try {
    return define();
  } finally {
    client.belongsToNoTask = before;
  }
}

function warn(client: BullmqClient): void {
  if (!client.belongsToNoTask) return;
  process.emitWarning(
    'BullMQ was given a client inside a task: no cancel reaches this client any more. ' +
      'Give BullMQ redis.detached(), and the client itself stays as it is.',
    { code: 'AIOKIT_REDIS_BULLMQ', type: 'AiokitWarning' },
  );
}
