/** What a user asks for, and what is made of it. */
import { ACCEPT_ENCODING } from './decoder.ts';
import { type HeaderRecord, type HeadersLike, headerValue, mergeHeaders } from './headers.ts';
import { type BodyInput, encodeBody, type OutgoingBody } from './outgoing-body.ts';
import { addParams, type Params } from './params.ts';
import { type RetryOptions, type RetryPolicy, resolveRetry } from './retry.ts';
import { type ClientTimeout, resolveTimeouts, type Timeouts } from './timeouts.ts';

export interface BasicAuth {
  readonly username: string;
  readonly password: string;
}

/** What can be said per request, and for all requests of a session. */
export interface CommonOptions {
  headers?: HeadersLike | undefined;
  /** Basic authentication, or the whole value of the `authorization` header (`Bearer …`). */
  auth?: BasicAuth | string | undefined;
  /** A number is the `total`, in ms; `null` is no limit for it. */
  timeout?: ClientTimeout | number | null | undefined;
  /** Whether a status of 400 or more is a {@link ClientResponseError}. Default: false. */
  raiseForStatus?: boolean | undefined;
  /** How many redirects to follow; 0 to get the redirect itself. Default: 10. */
  maxRedirects?: number | undefined;
  /** Whether to ask for a compressed body and to decompress it. Default: true. */
  decompress?: boolean | undefined;
  /** When to try again: a number of tries, or more exactly. Default: never. */
  retry?: RetryOptions | number | false | undefined;
  /** The largest body that is accepted, in bytes, counted after decompression. Default: 1 GiB. */
  maxBodySize?: number | undefined;
}

export interface RequestOptions extends CommonOptions, BodyInput {
  /** Added to the URL's own query. A list gives the name several times; `null` and `undefined` leave it out. */
  params?: Params | undefined;
  /** The user's own signal: its abort ends the request, which rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A request with everything decided. */
export interface PreparedRequest {
  readonly method: string;
  readonly url: URL;
  readonly origin: string;
  readonly headers: HeaderRecord;
  readonly body: OutgoingBody | null;
  readonly timeouts: Timeouts;
  readonly maxRedirects: number;
  readonly raiseForStatus: boolean;
  readonly retry: RetryPolicy | null;
  readonly decompress: boolean;
  readonly maxBodySize: number;
  readonly signal: AbortSignal | undefined;
}

/** The options of a session, checked once. */
export interface RequestDefaults {
  readonly baseUrl: URL | null;
  readonly baseOrigin: string | null;
  readonly headers: HeaderRecord;
  readonly timeouts: Timeouts;
  readonly raiseForStatus: boolean;
  readonly retry: RetryPolicy | null;
  readonly maxRedirects: number;
  readonly decompress: boolean;
  readonly maxBodySize: number;
}

const MAX_BODY_SIZE = 2 ** 30;

export function resolveDefaults(options: CommonOptions & { baseUrl?: string | URL | undefined }): RequestDefaults {
  const { decompress = true } = options;
  const base: HeaderRecord = { accept: '*/*', 'user-agent': 'aiokit' };
  if (decompress) base['accept-encoding'] = ACCEPT_ENCODING;
  const baseUrl = options.baseUrl === undefined ? null : parseUrl(options.baseUrl, null);
  return {
    baseUrl,
    baseOrigin: baseUrl?.origin ?? null,
    headers: withAuth(mergeHeaders(base, options.headers), options.auth),
    timeouts: resolveTimeouts(options.timeout),
    raiseForStatus: options.raiseForStatus ?? false,
    retry: resolveRetry(options.retry),
    maxRedirects: count(options.maxRedirects ?? 10, 'maxRedirects'),
    decompress,
    maxBodySize: count(options.maxBodySize ?? MAX_BODY_SIZE, 'maxBodySize'),
  };
}

export function prepare(
  method: string,
  target: string | URL,
  options: RequestOptions,
  defaults: RequestDefaults,
): PreparedRequest {
  const url = parseUrl(target, defaults.baseUrl);
  const { origin } = url;
  if (options.params !== undefined) addParams(url.searchParams, options.params, 'params');
  const body = encodeBody(options);
  let headers = defaults.headers;
  // What was given for one service is not for another one: a session's credentials stay with its baseUrl.
  if (defaults.baseOrigin !== null && defaults.baseOrigin !== origin) headers = withoutCredentials(headers);
  if (body?.contentType != null) headers = { ...headers, 'content-type': body.contentType };
  headers = withAuth(mergeHeaders(headers, options.headers), options.auth);
  if (url.username !== '' || url.password !== '') headers = withAuthOf(url, headers);
  if (headers['content-length'] !== undefined) checkLength(headers['content-length'], body);
  return {
    method: checkMethod(method),
    url,
    origin,
    headers,
    body,
    timeouts: resolveTimeouts(options.timeout, defaults.timeouts),
    maxRedirects:
      options.maxRedirects === undefined ? defaults.maxRedirects : count(options.maxRedirects, 'maxRedirects'),
    raiseForStatus: options.raiseForStatus ?? defaults.raiseForStatus,
    retry: options.retry === undefined ? defaults.retry : resolveRetry(options.retry),
    decompress: options.decompress ?? defaults.decompress,
    maxBodySize: options.maxBodySize === undefined ? defaults.maxBodySize : count(options.maxBodySize, 'maxBodySize'),
    signal: options.signal,
  };
}

/** Headers that prove who we are: they are never sent to another origin than the one they were meant for. */
export function withoutCredentials(headers: HeaderRecord): HeaderRecord {
  const { authorization, 'proxy-authorization': proxyAuthorization, cookie, ...rest } = headers;
  return rest;
}

/** The credentials in a URL become a header, unless there is one, and are not shown in the URL any more. */
export function withAuthOf(url: URL, headers: HeaderRecord): HeaderRecord {
  const auth = { username: decoded(url.username), password: decoded(url.password) };
  url.username = url.password = '';
  return headers.authorization === undefined ? withAuth(headers, auth) : headers;
}

/** What is no percent-encoding was meant as it is. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function withAuth(headers: HeaderRecord, auth: BasicAuth | string | undefined): HeaderRecord {
  if (auth === undefined) return headers;
  if (typeof auth !== 'string' && (typeof auth?.username !== 'string' || typeof auth.password !== 'string')) {
    throw new TypeError('auth must be { username, password } or the value of the authorization header');
  }
  if (typeof auth !== 'string' && auth.username.includes(':')) {
    throw new TypeError('auth.username must not have a colon in it (RFC 7617)');
  }
  const value =
    typeof auth === 'string' ? auth : `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
  return { ...headers, authorization: headerValue('authorization', value) };
}

function checkLength(given: string | string[], body: OutgoingBody | null): void {
  const length = body === null ? 0 : body.length;
  if (/^\d+$/.test(String(given)) && (length === null || Number(given) === length)) return;
  throw new TypeError(
    `headers: content-length is ${JSON.stringify(given)}, and the body has ${length ?? 'some'} bytes`,
  );
}

function parseUrl(target: string | URL, base: URL | null): URL {
  if (typeof target !== 'string' && !(target instanceof URL)) {
    throw new TypeError(`url must be a string or a URL, got ${target === null ? 'null' : typeof target}`);
  }
  if (base === null && typeof target === 'string' && !URL.canParse(target)) {
    const hint = target.startsWith('/') ? '. A path alone needs a baseUrl: new ClientSession({ baseUrl })' : '';
    throw new TypeError(`url must be an absolute http: or https: URL, got ${JSON.stringify(target)}${hint}`);
  }
  const url = base === null ? new URL(target) : new URL(target, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError(`url must be an http: or https: URL, got ${url.href}`);
  }
  return url;
}

/** What needs no look: most requests have one of them. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function checkMethod(method: string): string {
  if (METHODS.has(method)) return method;
  if (typeof method !== 'string' || !/^[!#$%&'*+.^_`|~\dA-Za-z-]+$/.test(method)) {
    throw new TypeError(`method must be an HTTP method, got ${JSON.stringify(method)}`);
  }
  return method.toUpperCase();
}

function count(value: number, name: string): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number >= 0, got ${typeof value}`);
  if (!(value >= 0)) throw new RangeError(`${name} must be >= 0, got ${value}`);
  return value;
}
