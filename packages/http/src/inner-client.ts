/** What of undici's Client and its requests is needed here, and its types do not tell. */
import type { EventEmitter } from 'node:events';
import type { Client } from 'undici';
import { kBusy, kHTTP2Session, kHTTPContext, kNeedDrain, kPendingIdx, kPoolNeedsDrain, kQueue } from './undici.ts';

export interface InnerClient extends Client {
  readonly [kHTTPContext]: HttpContext | null | undefined;
  readonly [kHTTP2Session]: EventEmitter | null | undefined;
  readonly [kQueue]: (QueuedRequest | null)[] | undefined;
  readonly [kPendingIdx]: number;
  readonly [kBusy]: boolean;
  /** 2: busy, and to tell when it is not any more. */
  [kNeedDrain]: number;
  /** What its pool has seen of that. */
  [kPoolNeedsDrain]: boolean;
}

export interface HttpContext {
  readonly version: string;
  busy(request: unknown): boolean;
}

export interface QueuedRequest {
  readonly aborted: boolean;
  /** `null` until it is sent. */
  readonly abort: unknown;
  onError(error: Error): void;
}

/** Its pool passes it over until it tells that it has room. */
export function passOver(client: InnerClient): void {
  client[kNeedDrain] = 2;
  client[kPoolNeedsDrain] = true;
}
