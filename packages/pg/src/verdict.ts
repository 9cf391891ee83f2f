/** What a cancel did to its connection: counted, and told on a diagnostics channel. */
import { channel } from 'node:diagnostics_channel';

/**
 * - `clean`: no CancelRequest was sent; the connection is as it was.
 * - `consumed`: the statement was stopped by it; the connection is as good as new if it leads straight to the server.
 * - `tainted`: it was sent, and the statement ended by itself: the request may still be on its way (behind a proxy).
 * - `dead`: the connection was destroyed: no answer within `cancelGrace`, no key to cancel with, or `cancel: 'close'`.
 */
export type Verdict = 'clean' | 'consumed' | 'tainted' | 'dead';

export type VerdictCounts = Record<Verdict, number>;

/** What `aiokit:pg:cancel` publishes. */
export interface CancelEvent {
  readonly client: object;
  readonly verdict: Verdict;
  /** The server process that was to be cancelled, if it is known. */
  readonly processId: number | null;
  /** From the request of the cancel to the verdict, in ms. */
  readonly duration: number;
}

/** The name of the diagnostics channel that every verdict is published on, as a {@link CancelEvent}. */
export const CANCEL_CHANNEL = 'aiokit:pg:cancel';

const verdicts = channel(CANCEL_CHANNEL);

export function noVerdicts(): VerdictCounts {
  return { clean: 0, consumed: 0, tainted: 0, dead: 0 };
}

export function publishVerdict(event: CancelEvent): void {
  if (verdicts.hasSubscribers) verdicts.publish(event);
}
