import type { IncomingHttpHeaders } from 'node:http';

/** Headers as a request takes them. A value may be a list: one line for each. `undefined` leaves a header out. */
export type HeadersLike =
  | Headers
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | number | readonly string[] | null | undefined>>;

/** Lower-case names. */
export type HeaderRecord = Record<string, string | string[]>;

/**
 * `null` and `undefined` take a header of `base` away.
 *
 * @throws `TypeError` for what no connection could send.
 */
export function mergeHeaders(base: HeaderRecord, given: HeadersLike | undefined): HeaderRecord {
  if (given === undefined) return base;
  const merged: HeaderRecord = { ...base };
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`headers must be an object, got ${typeof given}`);
  const entries: Iterable<readonly [string, unknown]> =
    Symbol.iterator in given ? (given as Iterable<readonly [string, string]>) : Object.entries(given);
  const names = new Set<string>();
  for (const [name, value] of entries) {
    const key = nameOf(name);
    if (value === undefined || value === null) {
      delete merged[key];
      continue;
    }
    const checked = Array.isArray(value) ? value.map((item) => headerValue(key, item)) : headerValue(key, value);
    merged[key] = names.has(key) ? [merged[key] ?? [], checked].flat() : checked;
    names.add(key);
  }
  return merged;
}

/** The connection's own business: how a body is framed, and how long a connection is kept. */
const OWN = new Set(['transfer-encoding', 'keep-alive', 'upgrade', 'expect', 'proxy-connection', 'http2-settings']);

function nameOf(name: unknown): string {
  if (typeof name !== 'string' || !/^[!#$%&'*+.^_`|~\dA-Za-z-]+$/.test(name)) {
    throw new TypeError(`headers: a name must be of letters, digits and -, got ${JSON.stringify(name)}`);
  }
  const key = name.toLowerCase();
  if (OWN.has(key)) throw new TypeError(`headers: ${key} is set by the connection, and not by a request`);
  return key;
}

/** @throws `TypeError` for what cannot be sent; the value itself is not shown, it may be a credential. */
export function headerValue(name: string, value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') {
    throw new TypeError(`headers: ${name} must be a string or a number, got ${value === null ? 'null' : typeof value}`);
  }
  const bad = /[^\t\x20-\x7e\x80-\xff]/u.exec(value);
  if (bad === null) return value;
  throw new TypeError(
    `headers: ${name} must be latin-1 text without line breaks, got ${JSON.stringify(bad[0])} at position ${bad.index}`,
  );
}

/** With a cookie beside those that are there. */
export function withCookie(headers: HeaderRecord, cookie: string): HeaderRecord {
  if (cookie === '') return headers;
  return { ...headers, cookie: [headers.cookie ?? [], cookie].flat().join('; ') };
}

/** A header as one text: what came more than once is joined, as the platform's Headers does. (undici's types deny that it may.) */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

export function toHeaders(raw: IncomingHttpHeaders): Headers {
  const headers = new Headers();
  for (const name in raw) {
    const value = raw[name];
    if (typeof value === 'string') headers.append(name, value);
    else for (const item of value ?? []) headers.append(name, item);
  }
  return headers;
}
