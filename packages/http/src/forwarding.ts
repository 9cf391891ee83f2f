import type { Dispatcher } from 'undici';
import type { HeaderRecord } from './headers.ts';
import type { ProxyFor } from './proxy.ts';

/**
 * Requests for `http:` URLs are handed to their proxy whole, in absolute form: `GET http://host/path`. It may cache, filter
 * and rewrite them, and many proxies make no tunnels to port 80. The connection that goes to the proxy instead of the target
 * is connector.ts's affair.
 *
 * The proxy's credentials are added here, below redirects and caches, so nothing else ever sees them.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#name-absolute-form
 */
export function forwarding(proxyFor: ProxyFor): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const target = new URL(options.origin as string);
    const proxy = isForwarded(target) ? proxyFor(target) : null;
    if (proxy === null) return dispatch(options, handler);
    const headers = { ...(options.headers as HeaderRecord) };
    if (proxy.authorization !== null) headers['proxy-authorization'] = proxy.authorization;
    return dispatch({ ...options, path: target.origin + options.path, headers }, handler);
  };
}

/** Anything else goes through a tunnel. */
export function isForwarded({ protocol }: { protocol: string }): boolean {
  return protocol === 'http:';
}
