import type { TimeoutPhase } from './errors.ts';

/**
 * How long the parts of a request may take, in ms; `null` for no limit.
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#aiohttp.ClientTimeout
 */
export interface ClientTimeout {
  /** The whole call: waiting for a connection, redirects, retries, and the body to its end. Default: 300,000. */
  total?: number | null | undefined;
  /** Until the request has a connection, the wait for a free one included. Default: no limit. */
  connect?: number | null | undefined;
  /** Until a new connection is established (DNS, TCP and TLS). Default: 30,000. */
  sockConnect?: number | null | undefined;
  /** Between two pieces of data from the server, from the moment the request is sent. Default: no limit. */
  sockRead?: number | null | undefined;
}

/** Every phase set. */
export type Timeouts = Readonly<Record<TimeoutPhase, number | null>>;

const DEFAULTS: Timeouts = { total: 300_000, connect: null, sockConnect: 30_000, sockRead: null };

/** A number is the `total` alone. What is left out is as in `base`. */
export function resolveTimeouts(given: ClientTimeout | number | null | undefined, base: Timeouts = DEFAULTS): Timeouts {
  if (given === undefined) return base;
  if (given === null) return { ...base, total: null };
  if (typeof given === 'number') return { ...base, total: checked(given, 'timeout') };
  if (typeof given !== 'object')
    throw new TypeError(`timeout must be a number of ms or an object, got ${typeof given}`);
  const unknown = Object.keys(given).find((phase) => !Object.hasOwn(DEFAULTS, phase));
  if (unknown !== undefined) {
    throw new TypeError(`timeout may have ${Object.keys(DEFAULTS).join(', ')}, got ${JSON.stringify(unknown)}`);
  }
  const resolved = { ...base };
  for (const phase of Object.keys(DEFAULTS) as TimeoutPhase[]) {
    const value = given[phase];
    if (value !== undefined) resolved[phase] = value === null ? null : checked(value, `timeout.${phase}`);
  }
  return resolved;
}

function checked(ms: unknown, name: string): number | null {
  if (typeof ms !== 'number')
    throw new TypeError(`${name} must be a number of ms (or null for no limit), got ${typeof ms}`);
  if (!(ms > 0)) throw new RangeError(`${name} must be > 0 ms (null for no limit), got ${ms}`);
  return ms === Infinity ? null : ms;
}
