import { detached } from '@aiokit/core';
import type { buildConnector } from 'undici';
import { type Attempt, whoseDispatch } from './connecting.ts';
import { isForwarded } from './forwarding.ts';
import { connectionToProxy, type ProxyFor, proxyFailed, unbracketed } from './proxy.ts';
import { type Connect, Tunnel } from './tunnel.ts';
import { buildConnector as build } from './undici.ts';

/** What connections are made for. Requests for `http:` URLs are handed to a proxy; all else goes through a tunnel. */
export type Use = 'requests' | 'webSockets';

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
  use: Use,
  proxyFor: ProxyFor,
  onFailure: (hostname: string) => void,
): Connect {
  const connect = buildConnect(options);
  const connectToProxy = buildConnect(connectionToProxy(options) as buildConnector.BuildOptions);
  return (target, callback) => {
    const proxy = proxyFor(target);
    const connected: buildConnector.Callback = (...result) => {
      if (result[0] !== null) onFailure(proxy === null ? target.hostname : proxy.url.hostname);
      callback(...result);
    };
    return detached(() => {
      if (proxy === null) return connect(target, connected);
      if (use === 'webSockets' || !isForwarded(target)) return new Tunnel(proxy, options, target, connect, connected);
      const { protocol, hostname, host, port } = proxy.url;
      return connectToProxy({ protocol, hostname: unbracketed(hostname), host, port }, (error, socket) => {
        if (error === null) connected(null, socket);
        else connected(proxyFailed(proxy, error), null);
      });
    });
  };
}

function buildConnect(options: buildConnector.BuildOptions): Connect {
  // undici gives the socket back; its types do not say so.
  return build({ ...options, timeout: 0 }) as unknown as Connect;
}

/** The same for undici: an exchange that is cancelled while its connection is being made ends that attempt. */
export function connector(connect: Connect): buildConnector.connector {
  return (target, callback) => {
    const connecting = whoseDispatch();
    const attempt: Attempt = connect(target, (error, socket) => {
      if (error === null) callback(null, socket);
      else callback(asAnyOther(error), null);
    });
    connecting?.connectsWith(attempt);
  };
}

/**
 * undici takes this one by its code, fails the requests and keeps them in its queue: the connection's client is busy with
 * them for ever, or breaks over them.
 */
function asAnyOther(error: Error & { code?: unknown }): Error {
  return error.code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? new Error(error.message, { cause: error }) : error;
}
