import { ClientError, TooManyRedirectsError } from './errors.ts';
import type { HeaderRecord } from './headers.ts';
import type { OutgoingBody } from './outgoing-body.ts';
import { withAuthOf, withoutCredentials } from './request.ts';
import type { Redirection } from './response.ts';

/** @see https://fetch.spec.whatwg.org/#http-redirect-fetch */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Where a response sends us, or `null` if it does not. */
export function redirectTarget(status: number, location: string | undefined, url: URL): URL | null {
  if (location === undefined || !REDIRECTS.has(status)) return null;
  if (!URL.canParse(location, url.href)) return null;
  const target = new URL(location, url);
  if (target.protocol !== 'http:' && target.protocol !== 'https:') return null;
  if (target.hash === '') target.hash = url.hash;
  return target;
}

/** What of a request a redirect may change. */
export interface Redirectable {
  readonly method: string;
  readonly url: URL;
  readonly headers: HeaderRecord;
  readonly body: OutgoingBody | null;
}

/**
 * The request that follows: a GET without a body after a 303, and after a POST's 301 or 302; without credentials at another
 * origin.
 *
 * @throws {@link ClientError} if it needs a body that cannot be sent twice.
 */
export function redirected({ method, url, headers, body }: Redirectable, status: number, target: URL): Redirectable {
  const next = { method, url: target, headers, body };
  if (!keepsMethod(status, method)) {
    const { 'content-type': type, 'content-length': length, 'content-encoding': encoding, ...rest } = headers;
    Object.assign(next, { method: 'GET', headers: rest, body: null });
  } else if (body !== null && !body.replayable) {
    const what = `${method} ${url.href} is redirected (${status}) to ${target.href}, and its body is a stream that has been sent`;
    throw new ClientError(`${what}. Give body as a function that makes a new one each time`);
  }
  if (target.origin !== url.origin) {
    const { host, ...rest } = withoutCredentials(next.headers);
    next.headers = rest;
  }
  if (target.username !== '' || target.password !== '') next.headers = withAuthOf(target, next.headers);
  return next;
}

/** Whether the redirected request has the method and the body of the first one; otherwise it is a GET without a body. */
function keepsMethod(status: number, method: string): boolean {
  if (status === 303) return method === 'GET' || method === 'HEAD';
  return !(method === 'POST' && (status === 301 || status === 302));
}

export function tooManyRedirects(label: string, max: number, history: readonly Redirection[], last: URL): ClientError {
  const way = [...history.map(({ url }) => url), last.href].join(' -> ');
  return new TooManyRedirectsError(`${label}: more than maxRedirects (${max}): ${way}`);
}
