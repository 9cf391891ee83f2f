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

/** Whether the redirected request has the method and the body of the first one; otherwise it is a GET without a body. */
export function keepsMethod(status: number, method: string): boolean {
  if (status === 303) return method === 'GET' || method === 'HEAD';
  return !(method === 'POST' && (status === 301 || status === 302));
}
