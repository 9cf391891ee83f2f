/**
 * Call: what `session.get(…)` gives back. A Future of the response that drives exchanges, one after the other, until one of
 * them is the answer: a redirect leads to the next, a failure may be tried again.
 */

import { Readable } from 'node:stream';
import { type CancelledError, currentDeadline, currentTask, type Operation, trackIO } from '@aiokit/core';
import type { Dispatcher } from 'undici';
import type { CallHost } from './call-host.ts';
import type { Linked } from './chain.ts';
import type { Applicant, Ticket } from './connection-gate.ts';
import { ClientError, ClientResponseError, ClientTimeoutError, type TimeoutPhase } from './errors.ts';
import { Exchange, type ExchangeOwner } from './exchange.ts';
import { type HeaderRecord, withCookie } from './headers.ts';
import type { BodyOwner } from './incoming-body.ts';
import { type Leftover, releaseWithTask } from './leftovers.ts';
import { type OutgoingBody, withLength } from './outgoing-body.ts';
import { redirected, redirectTarget, tooManyRedirects } from './redirect.ts';
import type { PreparedRequest } from './request.ts';
import { ClientResponse, type Redirection } from './response.ts';
import { metClosing, nextTry, type RetryPolicy, retryAfter, wasRefused } from './retry.ts';
import type { StandardSchema } from './schema.ts';
import { TimedBridge } from './timed-bridge.ts';
import { isTraced, type RequestTrace, traceCall, traceRedirect, traceRetry } from './tracing.ts';
import { Upload } from './upload.ts';

/** How often a request is sent again that a server has probably not even looked at. */
const REFUSALS = 3;
const NO_REDIRECTS: readonly Redirection[] = [];

/**
 * A request under way. Awaiting it gives the {@link ClientResponse}; `json()`, `text()` and `bytes()` wait for the body, too.
 *
 * A cancel while it waits ends it at once, whatever it is doing: waiting for a free connection, connecting, sending, or
 * waiting for the answer. Its connection is destroyed (HTTP/1.1) or its stream reset (HTTP/2). Whether the server has acted
 * on the request by then, nobody can know.
 */
export class Call extends TimedBridge<ClientResponse> implements ExchangeOwner, Applicant, BodyOwner, Linked<Call> {
  /** @internal */ _chain: Linked<Call>['_chain'] = null;
  /** @internal */ _next: Call | null = null;
  /** @internal */ _previous: Call | null = null;
  private readonly host: CallHost;
  private readonly request: PreparedRequest;
  private readonly task = currentTask();
  private readonly deadline = currentDeadline();
  private history: readonly Redirection[] = NO_REDIRECTS;
  private onAbort: (() => void) | null = null;
  private method: string;
  private url: URL;
  private origin: string;
  private headers: HeaderRecord;
  private body: OutgoingBody | null;
  private attempts = 0;
  private refusals = 0;
  private traced: RequestTrace | null = null;
  private exchange: Exchange | null = null;
  private ticket: Ticket | null = null;
  private operation: Operation | null = null;
  private upload: Upload | null = null;
  private leftover: Leftover | null = null;
  /** @internal */ _over = false;

  /** @internal */
  constructor(host: CallHost, request: PreparedRequest) {
    super();
    this.host = host;
    this.request = request;
    this.method = request.method;
    this.url = request.url;
    this.origin = request.origin;
    this.headers = request.headers;
    this.body = request.body;
    if (request.signal?.aborted) {
      this.fail(request.signal.reason);
      return;
    }
    if (request.signal !== undefined) this.follow(request.signal);
    host.budget.deposit();
    const { total } = request.timeouts;
    if (total !== null) this.limitTotal(total);
    if (isTraced()) this.trace();
    else this.send();
  }

  /** As {@link ClientResponse.json}. */
  json<T = unknown>(): Promise<T>;
  json<T>(schema: StandardSchema<T>): Promise<T>;
  async json<T>(schema?: StandardSchema<T>): Promise<T> {
    const response = await this;
    // `return promise` would wait three turns of the microtask queue more than `return await promise`.
    return await (schema === undefined ? response.json<T>() : response.json(schema));
  }

  /** As {@link ClientResponse.text}. */
  async text(): Promise<string> {
    return await (await this).text();
  }

  /** As {@link ClientResponse.bytes}. */
  async bytes(): Promise<Buffer> {
    return await (await this).bytes();
  }

  override get [Symbol.toStringTag](): string {
    return `Request ${this.label}`;
  }

  private trace(): void {
    this.traced = { method: this.method, url: this.url.href, attempt: 0 };
    traceCall(this, this.traced, () => this.send());
  }

  /** @internal Ends it wherever it is: its session closes. */
  _abort(error: Error): void {
    if (this.done()) this.exchange?.body?.cut(error);
    else this.fail(error);
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.stop(new ClientError(`${this.label} was cancelled`, { cause: error }));
  }

  /** @internal */
  connecting(): void {
    this.limit('sockConnect', this.request.timeouts.sockConnect);
  }

  /** @internal */
  connected(): void {
    this.unlimit('connect');
    this.unlimit('sockConnect');
    if (this.request.timeouts.sockRead !== null) this.watchReads();
  }

  /** @internal */
  responded(exchange: Exchange): void {
    if (this.done() || exchange !== this.exchange) return; // It was given up, and the answer crossed.
    const { status, headers } = exchange;
    const setCookie = headers['set-cookie'];
    if (setCookie !== undefined) this.host.cookies?.store(this.url, setCookie);
    const target = this.request.maxRedirects > 0 ? redirectTarget(status, headers.location, this.url) : null;
    if (target !== null) return this.redirect(exchange, target);
    const { retry } = this.request;
    if (retry?.statuses.has(status) && this.tryAgain(retry, retryAfter(exchange, this.clock.wallTime()))) {
      exchange.body?.release(exchange.remaining);
      return;
    }
    this.deliver(exchange);
  }

  /** @internal */
  failed(exchange: Exchange, error: Error): void {
    if (this.done() || exchange !== this.exchange) return;
    const isUnseen = wasRefused(error) || (this.host.knowsConnections && metClosing(exchange, this.method, error));
    if (isUnseen && this.body?.replayable !== false && this.refusals++ < REFUSALS) return this.send();
    const { retry } = this.request;
    const uploadError = this.upload?.error ?? null;
    if (retry !== null && uploadError === null && this.tryAgain(retry, null)) return;
    this.fail(uploadError ?? error);
  }

  private get label(): string {
    return `${this.method} ${this.url.href}`;
  }

  private send(): void {
    this.limit('connect', this.request.timeouts.connect);
    this.upload = null;
    if (!this.clock.real) this.operation ??= trackIO('http', { label: this.label });
    this.exchange = null;
    const { collapser, gate } = this.host;
    const isShared = collapser !== null && this.body === null && (this.method === 'GET' || this.method === 'HEAD');
    if (isShared) collapser.join(this.open(null), this.dispatchOptions());
    else this.ticket = gate.enter(this.origin, this);
  }

  /** @internal */
  admitted(ticket: Ticket): void {
    const { dispatcher, uploader } = this.host;
    try {
      const options = this.dispatchOptions();
      this.open(ticket).start(this.body?.isStream ? uploader : dispatcher, options);
    } catch (error) {
      // The user's function for a body threw.
      ticket.release();
      this.fail(error as Error);
    }
  }

  private open(ticket: Ticket | null): Exchange {
    this.exchange = new Exchange(this, this.request, this.method, this.url, this.clock, ticket);
    return this.exchange;
  }

  private dispatchOptions(): Dispatcher.DispatchOptions {
    const { url, origin, method, headers, body, host } = this;
    const options: Dispatcher.DispatchOptions = {
      origin,
      path: url.pathname + url.search,
      method,
      headers: withCookie(withLength(headers, body), host.cookies?.headerFor(url) ?? ''),
      body: this.openBody(),
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    if (host.isMultiplexed) options.idempotent = true;
    return options;
  }

  private openBody(): string | Uint8Array | Readable | null {
    if (this.body === null) return null;
    const content = this.body.open();
    if (content instanceof Readable) this.upload = new Upload(content);
    return content;
  }

  private redirect(exchange: Exchange, target: URL): void {
    const { status } = exchange;
    exchange.body?.release(exchange.remaining);
    const { maxRedirects } = this.request;
    if (this.history.length >= maxRedirects) {
      return this.fail(tooManyRedirects(this.label, maxRedirects, this.history, this.url));
    }
    this.history = [...this.history, { status, url: this.url.href }];
    const { method, url, headers, body } = this;
    try {
      const next = redirected({ method, url, headers, body }, status, target);
      this.method = next.method;
      this.url = next.url;
      this.origin = next.url.origin;
      this.headers = next.headers;
      this.body = next.body;
    } catch (error) {
      return this.fail(error as Error);
    }
    if (this.traced !== null) traceRedirect(this.traced, target);
    this.send();
  }

  /** Whether there will be another try. */
  private tryAgain(policy: RetryPolicy, asked: number | null): boolean {
    const { method, body, attempts, clock } = this;
    const total = this.request.timeouts.total ?? Infinity;
    const until = Math.min(this.started + total, this.deadline ?? Infinity);
    const when = nextTry(policy, { method, body, attempts, asked, now: clock.now(), until }, this.host.budget);
    if (when === null) return false;
    this.attempts++;
    if (this.traced !== null) traceRetry(this.traced, this.attempts);
    this.endOperation();
    this.clearTimers();
    this.exchange = null;
    this.ticket = null;
    this.upload = null;
    this.setTimer(
      'retry',
      clock.setTimer(when, () => this.send()),
    );
    return true;
  }

  private deliver(exchange: Exchange): void {
    const body = exchange.body;
    if (body === null) return this.fail(new ClientError(`${this.label}: the server switched protocols unasked`));
    const response = new ClientResponse(exchange, this.method, this.url.href, this.history);
    body.owner = this;
    if (this.request.raiseForStatus && exchange.status >= 400) {
      response.release();
      this.setException(new ClientResponseError(response));
    } else {
      if (this.task !== null && !this.task.done()) this.leftover = releaseWithTask(this.task, response);
      this.setResult(response);
    }
    this.endOperation();
  }

  private follow(signal: AbortSignal): void {
    this.onAbort = () => this._abort(signal.reason);
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  private fail(error: Error): void {
    this.setException(error);
    this.stop(error);
  }

  /** @internal */
  bodyEnded(): void {
    this.finish();
  }

  /** Nobody waits for it any more: ends what is under way. */
  private stop(error: Error): void {
    if (this.exchange === null) this.ticket?.release();
    else this.exchange.abort(error);
    this.finish();
  }

  private finish(): void {
    if (this._over) return;
    this._over = true;
    this.clearAllTimers();
    this.endOperation();
    this.leftover?.forget();
    if (this.onAbort !== null) this.request.signal?.removeEventListener('abort', this.onAbort);
    this.host.ended(this);
  }

  private endOperation(): void {
    this.operation?.end();
    this.operation = null;
  }

  protected override expire(phase: TimeoutPhase, ms: number): void {
    const error = new ClientTimeoutError(phase, ms, this.method, this.url.href, this.clock.now() - this.started);
    const { exchange } = this;
    const { retry } = this.request;
    // A server that is silent is as good as one that hung up.
    const isBroken = phase === 'sockConnect' || phase === 'sockRead';
    if (isBroken && retry !== null && !this.done() && this.tryAgain(retry, null)) exchange?.abort(error);
    else this._abort(error);
  }

  /** One timer that looks again instead of one per piece of data. */
  private watchReads(): void {
    const ms = this.request.timeouts.sockRead;
    const { exchange } = this;
    if (ms === null || exchange === null || this._over) return;
    const now = this.clock.now();
    // The server owes us nothing while we send, or while our reader is slow.
    const owes = this.upload?.isUnderWay !== true && (exchange.body === null || exchange.body.flowing);
    if (!owes) exchange.lastRead = now;
    if (now - exchange.lastRead >= ms) return this.expire('sockRead', ms);
    this.setTimer(
      'sockRead',
      this.clock.setTimer(exchange.lastRead + ms, () => this.watchReads()),
    );
  }
}
