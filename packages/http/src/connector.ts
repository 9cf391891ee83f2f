import type { Socket } from 'node:net';
import { detached } from '@aiokit/core';
import type { buildConnector } from 'undici';
import { whoseDispatch } from './connecting.ts';
import { buildConnector as build } from './undici.ts';

/**
 * Makes connections. They outlive the task that happens to need the first one, so they are made outside of any; and an
 * exchange that is cancelled while its connection is being made ends that attempt instead of waiting for it.
 *
 * undici's own timeout is off: it is coarse, and cannot be set per request (`sockConnect` can).
 *
 * @param onFailure told of a host that no connection could be made to.
 */
export function connector(
  options: buildConnector.BuildOptions,
  onFailure: (hostname: string) => void,
): buildConnector.connector {
  const connect = build({ ...options, timeout: 0 });
  return (target, callback) => {
    const exchange = whoseDispatch();
    const connected: buildConnector.Callback = (...[error, socket]) => {
      if (error !== null) onFailure(target.hostname);
      callback(...([error, socket] as Parameters<buildConnector.Callback>));
    };
    // undici gives the socket back; its types do not say so.
    const socket = detached(() => connect(target, connected)) as unknown as Socket;
    exchange?.connectsWith(socket);
  };
}
