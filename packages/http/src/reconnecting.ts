import { rethrowCancelled, sleep } from '@aiokit/core';
import { ClientConnectionError, WebSocketClosedError } from './errors.ts';
import { backoff, resolveRetry } from './retry.ts';
import type { ClientSession } from './session.ts';
import type { WebSocketConnection } from './websocket.ts';
import type { WsConnectOptions } from './ws-connect.ts';

export interface ReconnectOptions extends WsConnectOptions {
  /** The first delay after a failed attempt, in ms; it doubles with each one, with jitter. Default: 500. */
  delay?: number | undefined;
  /** The longest delay, in ms. Default: 30,000. */
  maxDelay?: number | undefined;
}

/** One WebSocket after the other. */
export async function* webSocketsTo(
  session: ClientSession,
  url: string | URL,
  { delay = 500, maxDelay = 30_000, ...options }: ReconnectOptions,
): AsyncGenerator<WebSocketConnection, void, undefined> {
  const policy = resolveRetry({ limit: Infinity, delay, maxDelay });
  let failures = 0;
  while (policy !== null) {
    try {
      const socket = await session.wsConnect(url, options);
      failures = 0;
      try {
        yield socket;
      } finally {
        await socket.close();
      }
    } catch (error) {
      rethrowCancelled(error);
      if (session.closed || !(error instanceof ClientConnectionError || error instanceof WebSocketClosedError))
        throw error;
    }
    await sleep(backoff(policy, Math.min(++failures, 16)));
  }
}
