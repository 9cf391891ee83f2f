import type { Dispatcher } from 'undici';
import type { Call } from './call.ts';
import type { Collapser } from './collapsing.ts';
import type { ConnectionGate } from './connection-gate.ts';
import type { RetryBudget } from './retry.ts';

/** What a call needs of its session. */
export interface CallHost {
  readonly dispatcher: Dispatcher;
  /** The same for streamed bodies. */
  readonly uploader: Dispatcher;
  /** Whether requests may share a connection at the same time. */
  readonly isMultiplexed: boolean;
  /** Whether an exchange is told of the connection that is made for it, and has it for itself. */
  readonly knowsConnections: boolean;
  readonly gate: ConnectionGate;
  /** Where equal requests meet, if they are to. */
  readonly collapser: Collapser | null;
  readonly budget: RetryBudget;
  readonly cookies: CookieKeeper | null;
  ended(call: Call): void;
}

export interface CookieKeeper {
  headerFor(url: URL): string;
  store(url: URL, setCookie: string | readonly string[]): void;
}
