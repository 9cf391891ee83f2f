/**
 * What can go wrong with a request. Every class derives from {@link ClientError}, except {@link ClientTimeoutError}: a
 * timeout is core's `TimeoutError`, whoever set it.
 */
import { TimeoutError } from '@aiokit/core';

/** Anything that went wrong between a request and its answer. */
export class ClientError extends Error {
  override name = 'ClientError';
  readonly code: string = 'ERR_HTTP_CLIENT';
}

/** No connection, or it broke before the response began. `code` is the system's (`ECONNREFUSED`, `ENOTFOUND`, …). */
export class ClientConnectionError extends ClientError {
  override name = 'ClientConnectionError';
  override readonly code: string;

  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.code = codeOf(cause) ?? 'ERR_HTTP_CONNECTION';
  }
}

/** The response began and its body did not arrive whole, or could not be decoded. */
export class ClientPayloadError extends ClientError {
  override name = 'ClientPayloadError';
  override readonly code = 'ERR_HTTP_PAYLOAD';
}

/** The status is 400 or more, and `raiseForStatus` was asked for. */
export class ClientResponseError extends ClientError {
  override name = 'ClientResponseError';
  override readonly code = 'ERR_HTTP_STATUS';
  readonly status: number;
  readonly statusText: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;

  constructor(response: { status: number; statusText: string; method: string; url: string; headers: Headers }) {
    super(`${response.method} ${response.url} answered ${response.status} ${response.statusText}`.trimEnd());
    this.status = response.status;
    this.statusText = response.statusText;
    this.method = response.method;
    this.url = response.url;
    this.headers = response.headers;
  }
}

/** More redirects than `maxRedirects`. */
export class TooManyRedirectsError extends ClientError {
  override name = 'TooManyRedirectsError';
  override readonly code = 'ERR_HTTP_TOO_MANY_REDIRECTS';
}

/** A WebSocket ended otherwise than by an orderly close (1000, 1001, or a close without a code). */
export class WebSocketClosedError extends ClientError {
  override name = 'WebSocketClosedError';
  override readonly code = 'ERR_WEBSOCKET_CLOSED';
  /** @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4 */
  readonly closeCode: number;
  readonly closeReason: string;

  constructor(url: string, closeCode: number, closeReason: string, cause?: unknown) {
    const why = cause instanceof Error ? cause.message : closeReason;
    super(`${url}: the WebSocket was closed with ${closeCode}${why === '' ? '' : `: ${why}`}`, { cause });
    this.closeCode = closeCode;
    this.closeReason = closeReason;
  }
}

/** What took too long: see {@link ClientTimeout}. */
export type TimeoutPhase = 'total' | 'connect' | 'sockConnect' | 'sockRead';

/** One of the limits of {@link ClientTimeout} was exceeded. */
export class ClientTimeoutError extends TimeoutError {
  readonly phase: TimeoutPhase;
  readonly url: string;
  /** How long the request had been under way, in ms. */
  readonly elapsed: number;

  constructor(phase: TimeoutPhase, limit: number, method: string, url: string, elapsed: number) {
    super(
      `${method} ${url}: ${PHASES[phase]} within ${limit} ms (timeout.${phase}); ${Math.round(elapsed)} ms elapsed`,
    );
    this.phase = phase;
    this.url = url;
    this.elapsed = elapsed;
  }
}

const PHASES: Record<TimeoutPhase, string> = {
  total: 'not done',
  connect: 'no free connection',
  sockConnect: 'the server accepted no connection',
  sockRead: 'nothing received',
};

/** The first `code` along the causes of an error. */
export function codeOf(error: unknown): string | undefined {
  let inner: unknown = error;
  for (let depth = 0; depth < 8 && typeof inner === 'object' && inner !== null; depth++) {
    const { code, cause } = inner as { code?: unknown; cause?: unknown };
    if (typeof code === 'string') return code;
    inner = cause;
  }
  return undefined;
}

/** Whether the connection broke, or took too long: it may do better next time. Anything else is a mistake that would come again. */
export function isBreak(error: unknown): boolean {
  return error instanceof ClientConnectionError || error instanceof ClientPayloadError || isTimeout(error);
}

export function isTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'ETIMEDOUT';
}

/** What an error of the system says. */
export function describe(error: Error): string {
  // A connection that no address accepted is an AggregateError without a message.
  const inner = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : undefined;
  return error.message || inner?.message || (error as { code?: string }).code || error.name;
}
