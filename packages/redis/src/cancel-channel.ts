/** What became of blocking commands that were cancelled, told on a diagnostics channel: free when nobody listens. */
import { channel } from 'node:diagnostics_channel';
import type { BlockingCommand } from './blocking-commands.ts';

/**
 * - `unsent`: it was not sent; its connection is as it was.
 * - `unblocked`: the server ended it (CLIENT UNBLOCK), and its connection is used again.
 * - `delivered`: its element came first and was delivered; the cancel waits for the next `await`.
 * - `closed`: it could not be ended on the server, and its connection was closed: an element may be lost.
 */
export type CancelVerdict = 'unsent' | 'unblocked' | 'delivered' | 'closed';

/** What `aiokit:redis:cancel` publishes. */
export interface CancelEvent {
  /** Such as `'BLPOP jobs 0'`, at most some 70 characters. */
  readonly command: string;
  readonly verdict: CancelVerdict;
  /** From the request of the cancel to the verdict, in ms. */
  readonly duration: number;
}

/** The name of the diagnostics channel that every verdict is published on, as a {@link CancelEvent}. */
export const CANCEL_CHANNEL = 'aiokit:redis:cancel';

const verdicts = channel(CANCEL_CHANNEL);

export function publishCancel(command: BlockingCommand, verdict: CancelVerdict, requestedAt: number): void {
  if (!verdicts.hasSubscribers) return;
  const duration = performance.now() - requestedAt;
  verdicts.publish({ command: command.describe(), verdict, duration } satisfies CancelEvent);
}
