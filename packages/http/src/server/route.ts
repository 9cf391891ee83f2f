import { timeout } from '@aiokit/core';
import { requestNow } from './request-context.ts';

export interface RouteOptions {
  /** Whether a client who leaves cancels requests of this route. */
  cancelOnDisconnect?: boolean | undefined;
  /** How long its handlers may take, in ms; then they are cancelled and the client gets 504. `null` for no limit of its own. */
  requestTimeout?: number | null | undefined;
}

/**
 * Middleware (for hono, or anything with `(context, next)`) that says for some routes what `serve` says for all.
 *
 * @example
 * ```ts
 * app.post('/report', route({ cancelOnDisconnect: true, requestTimeout: 10_000 }), makeReport);
 * ```
 */
export function route({ cancelOnDisconnect, requestTimeout = null }: RouteOptions) {
  return async (_context: unknown, next: () => Promise<void>): Promise<void> => {
    const request = requestNow();
    if (request !== undefined && cancelOnDisconnect !== undefined) request.cancelOnDisconnect = cancelOnDisconnect;
    if (requestTimeout === null) return next();
    await timeout(requestTimeout, async (t) => {
      try {
        await next();
      } finally {
        if (t.expired() && request !== undefined) request.ending ??= 'timeout';
      }
    });
  };
}
