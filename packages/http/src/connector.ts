import { detached } from '@aiokit/core';
import type { buildConnector } from 'undici';
import { type Attempt, whoseDispatch } from './connecting.ts';
import type { ProxyFor } from './proxy.ts';
import { type Connect, Tunnel } from './tunnel.ts';
import { buildConnector as build } from './undici.ts';

/**
 * Makes connections, through a proxy where there is one. They outlive the task that happens to need the first one, so they
 * are made outside of any.
 *
 * undici's own timeout is off: it is coarse, and cannot be set per request (`sockConnect` can).
 *
 * @param onFailure told of a host that no connection could be made to.
 */
export function makeConnect(
  options: buildConnector.BuildOptions,
  proxyFor: ProxyFor,
  onFailure: (hostname: string) => void,
): Connect {
  // undici gives the socket back; its types do not say so.
  const connect = build({ ...options, timeout: 0 }) as unknown as Connect;
  return (target, callback) => {
    const proxy = proxyFor(target);
    const connected: buildConnector.Callback = (...result) => {
      if (result[0] !== null) onFailure(proxy === null ? target.hostname : proxy.url.hostname);
      callback(...result);
    };
    return detached(() =>
      proxy === null ? connect(target, connected) : new Tunnel(proxy, options, target, connect, connected),
    );
  };
}

/** The same for undici: an exchange that is cancelled while its connection is being made ends that attempt. */
export function connector(connect: Connect): buildConnector.connector {
  return (target, callback) => {
    const connecting = whoseDispatch();
    const attempt: Attempt = connect(target, callback);
    connecting?.connectsWith(attempt);
  };
}
