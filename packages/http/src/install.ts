import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Bridge } from '@aiokit/core';
import { fetch } from './fetch.ts';
import { RequestWait } from './task-interceptor.ts';

/**
 * Binds the requests of code that knows nothing of tasks: the global `fetch`, and everything on node:http (axios, got, SDKs).
 * A request made in a task (or inside a timeout or group outside of one) is aborted with it. Nothing is patched for node:http: Node tells of each
 * request on a diagnostics channel.
 *
 * @returns undoes it.
 *
 * @example
 * ```ts
 * using installed = install();
 * await timeout(500, () => axios.get(url)); // really stops
 * ```
 */
export function install(): Disposable {
  const before = globalThis.fetch;
  globalThis.fetch = fetch;
  subscribe('http.client.request.created', bind);
  return {
    [Symbol.dispose]() {
      unsubscribe('http.client.request.created', bind);
      if (globalThis.fetch === fetch) globalThis.fetch = before;
    },
  };
}

function bind(message: unknown): void {
  if (!Bridge.isNeeded()) return;
  const { request } = message as { request: ClientRequest };
  let response: IncomingMessage | null = null;
  const wait = new RequestWait((error) => {
    // A request that has its response passes the error to nobody.
    response?.destroy(error);
    request.destroy(error);
  });
  request.on('response', (incoming: IncomingMessage) => {
    response = incoming;
  });
  request.on('close', () => wait.end());
}
