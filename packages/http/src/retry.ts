/** When to try again, and when to stop: a retry must help the caller without being the last straw for the server. */
import { codeOf } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { OutgoingBody } from './outgoing-body.ts';

export interface RetryOptions {
  /** How often to try again after the first attempt. Default: 2. */
  limit?: number | undefined;
  /** Which methods may be sent twice. Default: those that are idempotent (GET, HEAD, OPTIONS, PUT, DELETE, TRACE). */
  methods?: readonly string[] | undefined;
  /** Which statuses are worth another try. Default: 408, 413, 429, 500, 502, 503, 504. */
  statuses?: readonly number[] | undefined;
  /** The first delay, in ms; it doubles with each try. Default: 100. */
  delay?: number | undefined;
  /** The longest delay, in ms. A longer `Retry-After` is not waited for: the response is returned. Default: 30,000. */
  maxDelay?: number | undefined;
  /** Whether each delay is drawn at random between half of it and all of it. Default: true. */
  jitter?: boolean | undefined;
}

export interface RetryPolicy {
  readonly limit: number;
  readonly delay: number;
  readonly maxDelay: number;
  readonly jitter: boolean;
  readonly methods: ReadonlySet<string>;
  readonly statuses: ReadonlySet<number>;
}

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'];
const TRANSIENT = [408, 413, 429, 500, 502, 503, 504];

/** A number is the `limit`; 0, `false` and nothing mean: never. */
export function resolveRetry(given: RetryOptions | number | false | undefined): RetryPolicy | null {
  if (given === undefined || given === false || given === 0) return null;
  const options = typeof given === 'number' ? { limit: given } : given;
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`retry must be a number of tries or an object, got ${typeof given}`);
  }
  const { limit = 2, delay = 100, maxDelay = 30_000, jitter = true } = options;
  for (const [name, value] of Object.entries({ limit, delay, maxDelay })) {
    if (typeof value !== 'number' || !(value >= 0))
      throw new RangeError(`retry.${name} must be a number >= 0, got ${value}`);
  }
  const { methods = IDEMPOTENT, statuses = TRANSIENT } = options;
  for (const [name, value] of Object.entries({ methods, statuses })) {
    if (!Array.isArray(value)) throw new TypeError(`retry.${name} must be a list, got ${typeof value}`);
  }
  return {
    limit,
    delay,
    maxDelay,
    jitter,
    methods: new Set(methods.map((method) => method.toUpperCase())),
    statuses: new Set(statuses),
  };
}

/** A request that has failed, or has met a status that is worth another try. */
export interface Failed {
  readonly method: string;
  readonly body: OutgoingBody | null;
  /** How many retries there were. */
  readonly attempts: number;
  /** What the server asks for, in ms from now. */
  readonly asked: number | null;
  /** The instant now, and the one at which its caller gives up; in ms. */
  readonly now: number;
  readonly until: number;
}

/** The instant of the next try; `null` if there is to be none. */
export function nextTry(policy: RetryPolicy, failed: Failed, budget: RetryBudget): number | null {
  const { method, body, attempts, asked, now, until } = failed;
  if (attempts >= policy.limit || !policy.methods.has(method)) return null;
  if (body !== null && !body.replayable) return null;
  if (asked !== null && asked > policy.maxDelay) return null;
  const when = now + (asked ?? backoff(policy, attempts + 1));
  return when < until && budget.withdraw() ? when : null;
}

/** How long to wait before try number `attempt` (1 is the first retry), in ms. */
export function backoff(policy: RetryPolicy, attempt: number): number {
  const delay = Math.min(policy.maxDelay, policy.delay * 2 ** (attempt - 1));
  return policy.jitter ? delay * (0.5 + Math.random() / 2) : delay;
}

/** What the server asks for, in ms from now, or `null`. @see https://www.rfc-editor.org/rfc/rfc9110#name-retry-after */
export function retryAfter(exchange: Pick<Exchange, 'headers'>, wallTime: number): number | null {
  const value = exchange.headers['retry-after'];
  if (value === undefined) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - wallTime);
}

/**
 * A session's allowance: a tenth of a try per request, ten to begin with. When a whole service is down, retries stop adding
 * to its load after a moment, instead of multiplying it.
 */
export class RetryBudget {
  private tries = 10;

  deposit(): void {
    this.tries = Math.min(100, this.tries + 0.1);
  }

  /** Whether a retry may be made; if so, it is counted. */
  withdraw(): boolean {
    if (this.tries < 1) return false;
    this.tries--;
    return true;
  }
}

/**
 * A server that says goodbye refuses the streams that crossed it, or their headers (type 1) did not get out any more: none
 * of them was processed, so it is safe to send them again, whatever the method.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9113#name-request-reliability
 */
export function wasRefused({ cause }: Error): boolean {
  return cause instanceof Error && /NGHTTP2_REFUSED_STREAM|"frameError" received - type 1,/.test(cause.message);
}

/**
 * A kept connection whose server closed it while the request was on its way. Over another one an idempotent request may go
 * again, as browsers and aiohttp do.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-idempotent-methods
 */
export function metClosing(exchange: Pick<Exchange, 'isOnKept'>, method: string, error: Error): boolean {
  return exchange.isOnKept && IDEMPOTENT.includes(method) && CLOSED.has(codeOf(error));
}

const CLOSED = new Set<unknown>(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
