import type { buildConnector, Dispatcher } from 'undici';
import { Agent } from './agent.ts';
import { AppDispatcher } from './app-dispatcher.ts';
import { positive } from './checks.ts';
import { connector, makeConnect, type Use } from './connector.ts';
import { DnsCache } from './dns-cache.ts';
import { forwarding } from './forwarding.ts';
import { type ProxyFor, proxiesFor } from './proxy.ts';
import type { ClientSessionOptions } from './session-options.ts';
import type { Connect } from './tunnel.ts';
import { cacheInterceptor } from './undici.ts';

/** What a session sends through: dispatchers, and connections that all know the same addresses and the same proxy. */
export class Transport {
  readonly dispatcher: Dispatcher;
  /** For streamed bodies. Beside HTTP/2 it is another one: undici lets them wait until their connection has nothing else to do. */
  readonly uploader: Dispatcher;
  /** Whether requests share connections: undici would let a POST wait until the connection has nothing else to do. */
  readonly isMultiplexed: boolean;
  /** Whether an exchange is told of the connection that is made for it, and has it for itself. */
  readonly knowsConnections: boolean;
  /** Makes a connection for a WebSocket: HTTP/1.1, and through a tunnel where there is a proxy. */
  readonly connectWebSocket: Connect;
  private readonly own: readonly (Dispatcher | null)[];

  constructor(options: ClientSessionOptions) {
    const { app, dispatcher: given, socketPath, proxy, cache, http2 = false } = options;
    if (socketPath !== undefined && proxy !== undefined) throw new TypeError('socketPath and proxy exclude each other');
    const proxyFor = proxiesFor(proxy);
    const connectFor = waysToConnect(options, proxyFor);
    const isOurs = given === undefined && app === undefined;
    const main = given ?? (app === undefined ? agentFor(options, connectFor, true) : new AppDispatcher(app));
    const uploader = isOurs && http2 ? agentFor(options, connectFor, false) : null;
    const proxied = (dispatcher: Dispatcher) =>
      isOurs && proxy !== undefined ? dispatcher.compose(forwarding(proxyFor)) : dispatcher;
    this.dispatcher = withCache(proxied(main), cache);
    this.uploader = uploader === null ? this.dispatcher : proxied(uploader);
    this.isMultiplexed = uploader !== null;
    // A cache of the user's own may dispatch later than it is asked to, when nobody knows any more for whom.
    this.knowsConnections = isOurs && !http2 && typeof cache !== 'object';
    this.connectWebSocket = connectFor('webSockets');
    this.own = given === undefined ? [main, uploader] : [];
  }

  /** Ends its connections; a dispatcher of the user's own stays open. */
  async destroy(): Promise<void> {
    await Promise.all(this.own.map((dispatcher) => dispatcher?.destroy()));
  }
}

/** All of a session's connections know the same addresses and the same proxy. */
function waysToConnect(options: ClientSessionOptions, proxyFor: ProxyFor): (use: Use) => Connect {
  const { connection, socketPath = null, http2 = false } = options;
  const dns = dnsCacheFor(options);
  const lookup = dns === null ? connection : { ...connection, lookup: dns.lookup };
  return (use) => {
    const all = { ...lookup, socketPath, allowH2: http2 && use === 'requests' } as buildConnector.BuildOptions;
    return makeConnect(all, use, proxyFor, (hostname) => dns?.forget(hostname));
  };
}

function dnsCacheFor({
  connection,
  dnsCache = connection?.lookup ? null : 10_000,
}: ClientSessionOptions): DnsCache | null {
  return dnsCache === null ? null : new DnsCache(positive(dnsCache, 'dnsCache'), connection?.lookup);
}

function agentFor(options: ClientSessionOptions, connectFor: (use: Use) => Connect, multiplexes: boolean): Dispatcher {
  const { http2: allowH2 = false, keepAlive = 15_000 } = options;
  // undici takes no Infinity; this is the longest timer.
  const keepAliveTimeout = Math.min(positive(keepAlive, 'keepAlive'), 2 ** 31 - 1);
  const connect = connector(connectFor('requests'));
  // The session has timeouts of its own, exact ones.
  const timeouts = { keepAliveTimeout, keepAliveMaxTimeout: keepAliveTimeout, headersTimeout: 0, bodyTimeout: 0 };
  return new Agent({ ...timeouts, allowH2, connect }, multiplexes);
}

function withCache(dispatcher: Dispatcher, cache: ClientSessionOptions['cache']): Dispatcher {
  if (cache === undefined || cache === false) return dispatcher;
  return dispatcher.compose(cacheInterceptor(cache === true ? {} : cache));
}
