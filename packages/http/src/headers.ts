import type { IncomingHttpHeaders } from 'node:http';

/** Headers as a request takes them. A value may be a list: one line for each. `undefined` leaves a header out. */
export type HeadersLike =
  | Headers
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | number | readonly string[] | null | undefined>>;

/** Lower-case names. */
export type HeaderRecord = Record<string, string | string[]>;

/** `null` and `undefined` take a header of `base` away. */
export function mergeHeaders(base: HeaderRecord, given: HeadersLike | undefined): HeaderRecord {
  if (given === undefined) return base;
  const merged: HeaderRecord = { ...base };
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`headers must be an object, got ${typeof given}`);
  const entries: Iterable<readonly [string, unknown]> =
    Symbol.iterator in given ? (given as Iterable<readonly [string, string]>) : Object.entries(given);
  for (const [name, value] of entries) {
    const key = name.toLowerCase();
    if (value === undefined || value === null) delete merged[key];
    else merged[key] = Array.isArray(value) ? value.map(String) : String(value);
  }
  return merged;
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
