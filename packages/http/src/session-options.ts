import type { TcpNetConnectOpts } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { Dispatcher } from 'undici';
import type { App } from './app-dispatcher.ts';
import type { CookieJar } from './cookie-jar.ts';
import type { CommonOptions } from './request.ts';
import type { cacheInterceptor } from './undici.ts';

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
  /** How long an idle connection is kept, in ms; less long where the server says so. Default: 15,000. */
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
   * say when the session is made. It is handed requests for `http:` URLs, and asked for a tunnel (CONNECT) for all else.
   * Default: none.
   */
  proxy?: string | URL | undefined;
  /**
   * Whether to speak HTTP/2, up to 100 requests at once per connection, with servers that offer it over TLS. No GET or HEAD can
   * have a body then. Default: false.
   */
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
