import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { rethrowCancelled } from '@aiokit/core';
import { isAbortedUpload, requestNow } from './request-context.ts';

/** Node's own objects of a request, as hono's adapter for Node names them. */
export interface NodeBindings {
  readonly incoming: IncomingMessage | Http2ServerRequest;
  readonly outgoing: ServerResponse | Http2ServerResponse;
}

export type FetchHandler = (request: Request, env: NodeBindings) => Response | Promise<Response>;

/** Anything that answers Requests with Responses: a function, or an object that has one as `fetch` (hono and others). */
export type FetchApp =
  | FetchHandler
  | { fetch(request: Request, env?: never, context?: never): Response | Promise<Response> };

export function handlerOf(app: FetchApp): FetchHandler {
  if (typeof app === 'function') return app;
  if (typeof (app as { fetch?: unknown } | null)?.fetch === 'function') {
    passCancelsOn(app);
    return (request, env) => app.fetch(request, env as never);
  }
  throw new TypeError(
    `app must be a function (Request) => Response or have one as fetch (as hono's has), got ${typeof app}`,
  );
}

/** The part of hono's class that is needed here. */
interface HonoLike {
  errorHandler: (error: unknown, context: unknown) => unknown;
  onError(handler: (error: unknown, context: unknown) => unknown): unknown;
}

const passing = new WeakSet<object>();

/** hono makes a 500 of every exception and prints it; a cancel, or a client who has gone, is no exception to be told of. */
function passCancelsOn(app: object): void {
  const hono = app as Partial<HonoLike>;
  if (typeof hono.errorHandler !== 'function' || typeof hono.onError !== 'function' || passing.has(app)) return;
  passing.add(app);
  const original = hono.errorHandler;
  hono.onError((error, context) => {
    const request = requestNow();
    if (request !== undefined && (request.ending !== null || isAbortedUpload(error, request.bindings))) throw error;
    rethrowCancelled(error);
    return original(error, context);
  });
}
