import type { TcpNetConnectOpts } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { InvalidStateError } from '@aiokit/core';
import type { buildConnector, Dispatcher } from 'undici';
import { makeAgent } from './agent.ts';
import { type App, AppDispatcher } from './app-dispatcher.ts';
import { Call, type CallHost } from './call.ts';
import { Chain } from './chain.ts';
import { Collapser } from './collapsing.ts';
import { ConnectionGate } from './connection-gate.ts';
import { connector, makeConnect } from './connector.ts';
import { CookieJar } from './cookie-jar.ts';
import { DnsCache } from './dns-cache.ts';
import { ClientError } from './errors.ts';
import { type EventsOptions, eventsFrom } from './event-source.ts';
import { type LongPollOptions, longPollOf } from './long-poll.ts';
import { type ProxyFor, proxiesFor } from './proxy.ts';
import { type ReconnectOptions, webSocketsTo } from './reconnecting.ts';
import { type CommonOptions, prepare, type RequestDefaults, type RequestOptions, resolveDefaults } from './request.ts';
import { RetryBudget } from './retry.ts';
import type { ServerSentEvent } from './server-sent-events.ts';
import { resolveTimeouts } from './timeouts.ts';
import type { Connect } from './tunnel.ts';
import { cacheInterceptor } from './undici.ts';
import type { WebSocketConnection } from './websocket.ts';
import { WsConnecting, type WsConnectOptions } from './ws-connect.ts';

/** What `tls.connect` and `net.connect` take. */
export type ConnectionOptions = TlsOptions & Partial<Omit<TcpNetConnectOpts, 'timeout'>>;

/** @see https://undici.nodejs.org/#/docs/api/CacheStore */
export type HttpCacheOptions = NonNullable<Parameters<typeof cacheInterceptor>[0]>;

export interface ClientSessionOptions extends CommonOptions {
  /** What relative URLs are resolved against. Default headers and `auth` with credentials are then sent to its origin only. */
  baseUrl?: string | URL | undefined;
  /** How many requests may be under way at once; the others wait for their turn. Default: 100. */
  limit?: number | undefined;
  /** The same for each host. Default: no limit but `limit`. */
  limitPerHost?: number | undefined;
  /** How long an idle connection is kept, in ms. Default: 15,000. */
  keepAlive?: number | undefined;
  /** Options of `tls.connect` and `net.connect` for new connections: `ca`, `cert`, `key`, `rejectUnauthorized`, `lookup`, … */
  connection?: ConnectionOptions | undefined;
  /**
   * How long a host's addresses are kept, in ms; `null` to look them up for each connection. Default: 10,000, and `null` beside
   * a `connection.lookup`.
   */
  dnsCache?: number | null | undefined;
  /** A path of a Unix domain socket: all requests go there, whatever the host in their URL. */
  socketPath?: string | undefined;
  /** Where cookies are kept; `null` to have none. Default: a new jar. */
  cookieJar?: CookieJar | null | undefined;
  /**
   * The URL of a proxy (`http://user:password@host:port`), or `'environment'` for what HTTP_PROXY, HTTPS_PROXY and NO_PROXY
   * say when the session is made. It is asked for a tunnel (CONNECT). Default: none.
   */
  proxy?: string | URL | undefined;
  /** Whether to speak HTTP/2, up to 100 requests at once per connection, with servers that offer it over TLS. Default: false. */
  http2?: boolean | undefined;
  /**
   * Whether to keep responses that may be kept, and to answer from them (RFC 9111). `true` keeps them in memory, and none that
   * is `private`; an object is what undici's cache interceptor takes: `store`, `type`, `methods`, … Default: false.
   */
  cache?: boolean | HttpCacheOptions | undefined;
  /**
   * Whether equal GET and HEAD requests (in all their headers, too) that are under way at the same time are one request to the
   * server. It is cancelled when the last of its callers leaves. Default: false.
   */
  collapse?: boolean | undefined;
  /** An app to call in this process instead of a server on the network, as `serve` takes it. */
  app?: App | undefined;
  /** An undici dispatcher to send requests through, instead of one of the session's own. It stays open when the session closes. */
  dispatcher?: Dispatcher | undefined;
}

/**
 * A pool of connections, and what all requests over them have in common. Make one per service, not one per request, and close
 * it: `await using` does.
 *
 * @example
 * ```ts
 * await using session = new ClientSession({ baseUrl: 'http://localhost:8000', timeout: 5_000 });
 * const user = await session.get('/users/1').json<{ name: string }>();
 * ```
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#client-session
 */
export class ClientSession implements AsyncDisposable {
  readonly cookieJar: CookieJar | null;
  private readonly defaults: RequestDefaults;
  private readonly connectFor: (http2: boolean) => Connect;
  private readonly app: App | undefined;
  private readonly dispatcher: Dispatcher;
  private readonly isOwnDispatcher: boolean;
  /** For streamed bodies beside HTTP/2: undici lets them wait until their connection has nothing else to do. */
  private readonly uploader: Dispatcher | null;
  private readonly gate: ConnectionGate;
  private readonly host: CallHost;
  private readonly calls = new Chain<Call>();
  private isClosed = false;

  constructor(options: ClientSessionOptions = {}) {
    this.defaults = resolveDefaults(options);
    this.isOwnDispatcher = options.dispatcher === undefined;
    this.cookieJar = options.cookieJar === undefined ? new CookieJar() : options.cookieJar;
    this.app = options.app;
    this.connectFor = waysToConnect(options);
    this.dispatcher = options.dispatcher ?? makeDispatcher(options, this.connectFor, true);
    this.uploader = options.http2 && this.isOwnDispatcher ? makeDispatcher(options, this.connectFor, false) : null;
    const dispatcher = withCache(this.dispatcher, options.cache);
    this.gate = new ConnectionGate(
      positive(options.limit ?? 100, 'limit'),
      positive(options.limitPerHost ?? Infinity, 'limitPerHost'),
    );
    this.host = {
      dispatcher,
      uploader: this.uploader ?? dispatcher,
      // undici would let a POST wait until the connection has nothing else to do.
      isMultiplexed: this.uploader !== null,
      gate: this.gate,
      collapser: options.collapse ? new Collapser(this.gate, dispatcher) : null,
      budget: new RetryBudget(),
      cookies: this.cookieJar,
      ended: (call) => void this.calls.delete(call),
    };
  }

  /** Sends a request. The result may be awaited for the response, or asked for its content: `await session.get(url).json()`. */
  request(method: string, url: string | URL, options: RequestOptions = {}): Call {
    if (this.isClosed) throw sessionIsClosed(method, url);
    const call = new Call(this.host, prepare(method, url, options, this.defaults));
    if (!call._over) this.calls.add(call);
    return call;
  }

  get(url: string | URL, options?: RequestOptions): Call {
    return this.request('GET', url, options);
  }

  head(url: string | URL, options?: RequestOptions): Call {
    return this.request('HEAD', url, options);
  }

  options(url: string | URL, options?: RequestOptions): Call {
    return this.request('OPTIONS', url, options);
  }

  post(url: string | URL, options?: RequestOptions): Call {
    return this.request('POST', url, options);
  }

  put(url: string | URL, options?: RequestOptions): Call {
    return this.request('PUT', url, options);
  }

  patch(url: string | URL, options?: RequestOptions): Call {
    return this.request('PATCH', url, options);
  }

  delete(url: string | URL, options?: RequestOptions): Call {
    return this.request('DELETE', url, options);
  }

  /**
   * Opens a WebSocket, with the session's headers and cookies.
   *
   * @param url `ws:`, `wss:`, `http:`, `https:`, or relative to `baseUrl`.
   * @throws {@link ClientResponseError} if the server does not agree; {@link ClientConnectionError} if there is none.
   */
  wsConnect(url: string | URL, options: WsConnectOptions = {}): WsConnecting {
    if (this.isClosed) throw sessionIsClosed('WebSocket', url);
    if (this.app !== undefined) throw new TypeError(NO_WEBSOCKET);
    const {
      url: target,
      headers,
      timeouts,
    } = prepare('GET', httpUrl(url), { headers: options.headers }, this.defaults);
    const { 'accept-encoding': encoding, accept, ...rest } = headers;
    const cookie = this.cookieJar?.headerFor(target) ?? '';
    const all = cookie === '' ? rest : { cookie, ...rest };
    target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
    const { sockConnect: timeout } = resolveTimeouts({ sockConnect: options.timeout }, timeouts);
    return new WsConnecting(target, all, { ...options, timeout }, this.connectFor(false));
  }

  /**
   * Server-sent events of an address, across connections: it connects again after a break (`reconnect: false` does not) and
   * asks for what came after the last event. There is no total timeout. Leaving the loop closes the connection.
   *
   * @example
   * ```ts
   * for await (const { event, data } of session.events('/ticks')) console.log(event, data);
   * ```
   */
  events(url: string | URL, options: EventsOptions = {}): AsyncGenerator<ServerSentEvent, void, undefined> {
    return eventsFrom(this, url, options);
  }

  /**
   * The JSON answers of an address that answers when there is something to tell, and is asked again at once: for servers
   * that have neither events nor WebSockets. Statuses that mean "nothing new" (204, 304, 408, 504), a timeout and a broken
   * connection lead to the next question; another error status is thrown. An answer that was on its way when the loop was
   * left or cancelled is lost, unless the server repeats what `next` has not confirmed.
   *
   * @example
   * ```ts
   * const next = (updates: Update[]) => ({ offset: updates.at(-1)!.id + 1 });
   * for await (const updates of session.longPoll('/updates', { params: { timeout: 50 }, next })) handle(updates);
   * ```
   */
  longPoll<T = unknown>(url: string | URL, options: LongPollOptions<T> = {}): AsyncGenerator<T, void, undefined> {
    return longPollOf(this, url, options);
  }

  /**
   * Connected WebSockets, one after the other: the next one when the loop's body has ended with the one before. Attempts
   * that fail are made again, ever more slowly. For feeds that are to go on for ever.
   *
   * @example
   * ```ts
   * for await (const socket of session.webSockets('/feed')) {
   *   for await (const message of socket) handle(message);
   * }
   * ```
   */
  webSockets(url: string | URL, options: ReconnectOptions = {}): AsyncGenerator<WebSocketConnection, void, undefined> {
    return webSocketsTo(this, url, options);
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** How many requests are under way, and how many wait for a free connection. */
  statistics(): { active: number; waiting: number } {
    return this.gate.statistics();
  }

  /** Ends what is under way, with an error, and closes the connections. Resolves when they are closed. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const call of this.calls)
      call._abort(new ClientError('The session was closed while the request was under way'));
    if (this.isOwnDispatcher) await Promise.all([this.dispatcher.destroy(), this.uploader?.destroy()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function dnsCacheFor({
  connection,
  dnsCache = connection?.lookup ? null : 10_000,
}: ClientSessionOptions): DnsCache | null {
  return dnsCache === null ? null : new DnsCache(positive(dnsCache, 'dnsCache'), connection?.lookup);
}

/** All of a session's connections know the same addresses and the same proxy. */
function waysToConnect(options: ClientSessionOptions): (http2: boolean) => Connect {
  const { connection, socketPath = null, proxy } = options;
  if (socketPath !== null && proxy !== undefined) throw new TypeError('socketPath and proxy exclude each other');
  const dns = dnsCacheFor(options);
  const proxyFor: ProxyFor = proxiesFor(proxy);
  const lookup = dns === null ? connection : { ...connection, lookup: dns.lookup };
  return (allowH2) => {
    const all = { ...lookup, socketPath, allowH2 } as buildConnector.BuildOptions;
    return makeConnect(all, proxyFor, (hostname) => dns?.forget(hostname));
  };
}

function makeDispatcher(
  options: ClientSessionOptions,
  connectFor: (http2: boolean) => Connect,
  multiplexes: boolean,
): Dispatcher {
  if (options.app !== undefined) return new AppDispatcher(options.app);
  const { http2: allowH2 = false, keepAlive = 15_000 } = options;
  // undici takes no Infinity; this is the longest timer.
  const keepAliveTimeout = Math.min(positive(keepAlive, 'keepAlive'), 2 ** 31 - 1);
  const connect = connector(connectFor(allowH2));
  // The session has timeouts of its own, exact ones.
  return makeAgent({ keepAliveTimeout, headersTimeout: 0, bodyTimeout: 0, allowH2, connect }, multiplexes);
}

function withCache(dispatcher: Dispatcher, cache: ClientSessionOptions['cache']): Dispatcher {
  if (cache === undefined || cache === false) return dispatcher;
  return dispatcher.compose(cacheInterceptor(cache === true ? {} : cache));
}

const NO_WEBSOCKET =
  'wsConnect needs a server on the network, and this session calls an app: serve(app) in the test, and connect to its url';

function httpUrl(url: string | URL): string {
  return String(url).replace(/^ws(s?):/i, 'http$1:');
}

function sessionIsClosed(method: string, url: string | URL): InvalidStateError {
  return new InvalidStateError(
    `Session is closed: ${method} ${String(url)} came after close(). The usual cause is a block with \`await using session\` ` +
      'that ended while a task it had started was still to make its request: await the tasks inside the block, in a taskGroup say',
  );
}

function positive(value: number, name: string): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number > 0, got ${typeof value}`);
  if (!(value > 0)) throw new RangeError(`${name} must be > 0 (Infinity for no limit), got ${value}`);
  return value;
}
