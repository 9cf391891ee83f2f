import { InvalidStateError } from '@aiokit/core';
import type { App } from './app-dispatcher.ts';
import { Call } from './call.ts';
import type { CallHost } from './call-host.ts';
import { Chain } from './chain.ts';
import { positive } from './checks.ts';
import { Collapser } from './collapsing.ts';
import { ConnectionGate } from './connection-gate.ts';
import { CookieJar } from './cookie-jar.ts';
import { ClientError } from './errors.ts';
import { type EventsOptions, eventsFrom } from './event-source.ts';
import { fitForHttp2 } from './http2-bodies.ts';
import { type LongPollOptions, longPollOf } from './long-poll.ts';
import { type ReconnectOptions, webSocketsTo } from './reconnecting.ts';
import { prepare, type RequestDefaults, type RequestOptions, resolveDefaults } from './request.ts';
import { RetryBudget } from './retry.ts';
import type { ServerSentEvent } from './server-sent-events.ts';
import type { ClientSessionOptions } from './session-options.ts';
import { resolveTimeouts } from './timeouts.ts';
import { Transport } from './transport.ts';
import type { WebSocketConnection } from './websocket.ts';
import { WsConnecting, type WsConnectOptions } from './ws-connect.ts';

/**
 * A pool of connections, and what all requests over them have in common. Make one per service, not one per request, and close
 * it: `await using` does.
 *
 * @example
 * ```ts
 * await using session = new ClientSession({ baseUrl: 'http://localhost:8000', timeout: 5_000 });
 * const user = await session.get('/users/1').json<{ name: string }>();
 * ```
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#client-session
 */
export class ClientSession implements AsyncDisposable {
  readonly cookieJar: CookieJar | null;
  private readonly defaults: RequestDefaults;
  private readonly transport: Transport;
  private readonly app: App | undefined;
  private readonly gate: ConnectionGate;
  private readonly host: CallHost;
  private readonly calls = new Chain<Call>();
  /** Those that are being opened, and those that are open. */
  private readonly sockets = new Set<WsConnecting>();
  private readonly forgetSocket = (socket: WsConnecting) => void this.sockets.delete(socket);
  private isClosed = false;

  constructor(options: ClientSessionOptions = {}) {
    this.defaults = resolveDefaults(options);
    this.cookieJar = options.cookieJar === undefined ? new CookieJar() : options.cookieJar;
    this.app = options.app;
    this.transport = new Transport(options);
    this.gate = new ConnectionGate(
      positive(options.limit ?? 100, 'limit'),
      positive(options.limitPerHost ?? Infinity, 'limitPerHost'),
    );
    const { dispatcher, uploader, isMultiplexed, knowsConnections } = this.transport;
    this.host = {
      dispatcher,
      uploader,
      isMultiplexed,
      knowsConnections,
      gate: this.gate,
      collapser: options.collapse ? new Collapser(this.gate, dispatcher) : null,
      budget: new RetryBudget(),
      cookies: this.cookieJar,
      ended: (call) => void this.calls.delete(call),
    };
  }

  /** Sends a request. The result may be awaited for the response, or asked for its content: `await session.get(url).json()`. */
  request(method: string, url: string | URL, options: RequestOptions = {}): Call {
    if (this.isClosed) throw sessionIsClosed(method, url);
    const prepared = prepare(method, url, options, this.defaults);
    const call = new Call(this.host, this.host.isMultiplexed ? fitForHttp2(prepared) : prepared);
    if (!call._over) this.calls.add(call);
    return call;
  }

  get(url: string | URL, options?: RequestOptions): Call {
    return this.request('GET', url, options);
  }

  head(url: string | URL, options?: RequestOptions): Call {
    return this.request('HEAD', url, options);
  }

  options(url: string | URL, options?: RequestOptions): Call {
    return this.request('OPTIONS', url, options);
  }

  post(url: string | URL, options?: RequestOptions): Call {
    return this.request('POST', url, options);
  }

  put(url: string | URL, options?: RequestOptions): Call {
    return this.request('PUT', url, options);
  }

  patch(url: string | URL, options?: RequestOptions): Call {
    return this.request('PATCH', url, options);
  }

  delete(url: string | URL, options?: RequestOptions): Call {
    return this.request('DELETE', url, options);
  }

  /**
   * Opens a WebSocket, with the session's headers and cookies.
   *
   * @param url `ws:`, `wss:`, `http:`, `https:`, or relative to `baseUrl`.
   * @throws {@link ClientResponseError} if the server does not agree; {@link ClientConnectionError} if there is none.
   */
  wsConnect(url: string | URL, options: WsConnectOptions = {}): WsConnecting {
    if (this.isClosed) throw sessionIsClosed('WebSocket', url);
    if (this.app !== undefined) throw new TypeError(NO_WEBSOCKET);
    const {
      url: target,
      headers,
      timeouts,
    } = prepare('GET', httpUrl(url), { headers: options.headers }, this.defaults);
    const { 'accept-encoding': encoding, accept, ...rest } = headers;
    const cookie = this.cookieJar?.headerFor(target) ?? '';
    const all = cookie === '' ? rest : { cookie, ...rest };
    target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:';
    const { sockConnect: timeout } = resolveTimeouts({ sockConnect: options.timeout }, timeouts);
    const { connectWebSocket } = this.transport;
    const socket = new WsConnecting(target, all, { ...options, timeout }, connectWebSocket, this.forgetSocket);
    this.sockets.add(socket);
    return socket;
  }

  /**
   * Server-sent events of an address, across connections: it connects again after a break (`reconnect: false` does not) and
   * asks for what came after the last event. There is no total timeout. Leaving the loop closes the connection.
   *
   * @example
   * ```ts
   * for await (const { event, data } of session.events('/ticks')) console.log(event, data);
   * ```
   */
  events(url: string | URL, options: EventsOptions = {}): AsyncGenerator<ServerSentEvent, void, undefined> {
    return eventsFrom(this, url, options);
  }

  /**
   * The JSON answers of an address that answers when there is something to tell, and is asked again at once: for servers
   * that have neither events nor WebSockets. Statuses that mean "nothing new" (204, 304, 408, 504), a timeout and a broken
   * connection lead to the next question; another error status is thrown. An answer that was on its way when the loop was
   * left or cancelled is lost, unless the server repeats what `next` has not confirmed.
   *
   * @example
   * ```ts
   * const next = (updates: Update[]) => ({ offset: updates.at(-1)!.id + 1 });
   * for await (const updates of session.longPoll('/updates', { params: { timeout: 50 }, next })) handle(updates);
   * ```
   */
  longPoll<T = unknown>(url: string | URL, options: LongPollOptions<T> = {}): AsyncGenerator<T, void, undefined> {
    return longPollOf(this, url, options);
  }

  /**
   * Connected WebSockets, one after the other: the next one when the loop's body has ended with the one before. Attempts
   * that fail are made again, ever more slowly. For feeds that are to go on for ever.
   *
   * @example
   * ```ts
   * for await (const socket of session.webSockets('/feed')) {
   *   for await (const message of socket) handle(message);
   * }
   * ```
   */
  webSockets(url: string | URL, options: ReconnectOptions = {}): AsyncGenerator<WebSocketConnection, void, undefined> {
    return webSocketsTo(this, url, options);
  }

  get closed(): boolean {
    return this.isClosed;
  }

  /** How many requests are under way, and how many wait for a free connection. */
  statistics(): { active: number; waiting: number } {
    return this.gate.statistics();
  }

  /**
   * Ends what is under way, with an error, tells WebSockets goodbye (1001), and closes the connections. Resolves when they are
   * closed; a WebSocket whose peer does not answer is destroyed after its `closeTimeout`.
   */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const call of this.calls)
      call._abort(new ClientError('The session was closed while the request was under way'));
    await Promise.all([this.transport.destroy(), ...[...this.sockets].map((socket) => socket._end())]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const NO_WEBSOCKET =
  'wsConnect needs a server on the network, and this session calls an app: serve(app) in the test, and connect to its url';

function httpUrl(url: string | URL): string {
  return String(url).replace(/^ws(s?):/i, 'http$1:');
}

function sessionIsClosed(method: string, url: string | URL): InvalidStateError {
  return new InvalidStateError(
    `Session is closed: ${method} ${String(url)} came after close(). The usual cause is a block with \`await using session\` ` +
      'that ended while a task it had started was still to make its request: await the tasks inside the block, in a taskGroup say',
  );
}
