/**
 * HTTP for tasks: what is waiting for a server stops when the task that waits is cancelled.
 *
 *   calls        fetch.ts, session.ts, call.ts       ask, and get a Future
 *   connections  transport.ts, exchange.ts, …        one request on one connection, as undici tells of it
 *   bodies       incoming-body.ts, outgoing-body.ts  bytes both ways, with backpressure
 *
 * The server is `@aiokit/http/server`.
 */

export type { App } from './app-dispatcher.ts';
export type { Call } from './call.ts';
export { CookieJar, type StoredCookie } from './cookie-jar.ts';
export {
  ClientConnectionError,
  ClientError,
  ClientPayloadError,
  ClientResponseError,
  ClientTimeoutError,
  type TimeoutPhase,
  TooManyRedirectsError,
  WebSocketClosedError,
} from './errors.ts';
export type { EventsOptions } from './event-source.ts';
export { fetch } from './fetch.ts';
export type { HeadersLike } from './headers.ts';
export { install } from './install.ts';
export type { LongPollOptions } from './long-poll.ts';
export type { MultipartInput, MultipartPart } from './multipart.ts';
export type { ParamRecord, Params } from './params.ts';
export type { ReconnectOptions } from './reconnecting.ts';
export type { BasicAuth, RequestOptions } from './request.ts';
export { request } from './request-once.ts';
export type { ClientResponse, Redirection } from './response.ts';
export type { RetryOptions } from './retry.ts';
export { ClientSchemaError, type StandardSchema } from './schema.ts';
export type { ServerSentEvent } from './server-sent-events.ts';
export { ClientSession } from './session.ts';
export type { ClientSessionOptions, ConnectionOptions, HttpCacheOptions } from './session-options.ts';
export { taskInterceptor } from './task-interceptor.ts';
export type { ClientTimeout } from './timeouts.ts';
export type { RequestTrace } from './tracing.ts';
export type { Message, WebSocketConnection, WebSocketOptions } from './websocket.ts';
export type { WsConnecting, WsConnectOptions } from './ws-connect.ts';
