import type { IncomingMessage, Server as NodeServer, ServerResponse } from 'node:http';
import { type Http2SecureServer, type Http2Server, Http2ServerRequest } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { currentTask, detached, Event, type EventLoop, getRunningLoop, sleep, type Task, timeout } from '@aiokit/core';
import { getRequestListener } from '@hono/node-server';
import { Chain } from '../chain.ts';
import type { FetchHandler, NodeBindings } from './app.ts';
import { statusOfBadHeaders } from './bad-headers.ts';
import { LONGEST_TIMER } from './check-options.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { createNodeServer, HEADER_SIZE, listen, timesOf } from './listen.ts';
import type { ServeOptions } from './options.ts';
import { type RequestCounts, type RequestHost, RequestTask } from './request-task.ts';
import { learnLightweightResponse } from './response-stream.ts';
import type { RunningServer } from './serve.ts';
import { type ClosingSignals, closeOnSignals } from './signals.ts';
import { bytesTaken, isWaiting } from './slow-readers.ts';
import { type UpgradeHost, UpgradeTask } from './upgrade-task.ts';
import { endAsBySignal, isToldToEnd } from './worker.ts';

export type AnyNodeServer = NodeServer | Http2Server | Http2SecureServer;

export interface ServerStatistics extends Readonly<RequestCounts> {
  /** Requests whose handler, or the sending of its answer, has not ended. */
  readonly active: number;
  readonly webSockets: number;
  /** Tasks of `background(fn)` that have not ended. */
  readonly background: number;
  readonly connections: number;
}

/** A client that sees its connection end while it sends the next request cannot know whether it was read. */
const IDLE_GRACE = 100;
/** A client that has just connected is about to ask: it is looked so often for its first byte, every so many ms. */
const FIRST_BYTE_LOOKS = 200;
const FIRST_BYTE_INTERVAL = 10;
const BODY_SIZE = 100 * 2 ** 20;
/** What was written may still be on its way to a slow client, when the time for requests is over. */
const LAST_BYTES_GRACE = 1_000;

/** A server that listens; {@link serve} makes it. */
export class Server implements RunningServer {
  /** Node's own server, for what is not offered here. */
  readonly node: AnyNodeServer;
  private where = '';
  private readonly options: ServeOptions;
  private readonly headerSize: number;
  private readonly host: RequestHost;
  private readonly upgradeHost: UpgradeHost;
  private readonly requests = new Chain<RequestTask>();
  private readonly upgrades = new Set<UpgradeTask>();
  private readonly backgroundTasks = new Set<Task<unknown>>();
  /** How many bytes each had taken at the last look. */
  private readonly sockets = new Map<Socket, number>();
  private readonly sessions: Http2Sessions;
  private readonly idle = new Event();
  private readonly closed = new Event();
  private closingOnce: Promise<void> | null = null;
  private readonly slowReaderCheck: NodeJS.Timeout | undefined;
  private isDraining = false;
  /** Somebody else has seen to `drainDelay`. */
  private wasAnnounced = false;
  private signals: ClosingSignals | null = null;
  /** Whether anybody has listened for SIGTERM when it began. */
  private wasSignalHandled = false;

  /** @internal */
  constructor(handler: FetchHandler, options: ServeOptions) {
    this.options = options;
    this.headerSize = options.limits?.headerSize ?? HEADER_SIZE;
    this.host = this.makeHost(handler, getRunningLoop());
    this.upgradeHost = this.makeUpgradeHost(this.host);
    const listener = getRequestListener(
      (request, env) => new RequestTask(this.host, request, env as NodeBindings).start(),
      { overrideGlobalObjects: options.overrideGlobalObjects ?? true },
    );
    learnLightweightResponse();
    const requestsPerConnection = options.limits?.requestsPerConnection ?? Infinity;
    this.sessions = new Http2Sessions({ ...timesOf(options), requestsPerConnection });
    this.node = createNodeServer(options, (incoming, outgoing) => this.receive(listener, incoming, outgoing));
    this.node.on('connection', (socket: Socket) => {
      this.sockets.set(socket, 0);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.node.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      new UpgradeTask(this.upgradeHost, incoming, socket, head).start();
    });
    // node:cluster closes the servers of a worker that is to end; http's own close() cuts connections on which a request is on its way.
    this.node.close = (callback?: () => void) => {
      (isToldToEnd() ? this.endWorker() : this.close()).then(callback);
      return this.node as never;
    };
    if (options.http2) (this.node as Http2Server).on('session', (session) => this.sessions.follow(session));
    this.slowReaderCheck = this.cutSlowReaders();
  }

  /** @internal */
  async _listen(): Promise<void> {
    const { handleSignals = currentTask() === null } = this.options;
    this.where = await detached(() => listen(this.node, this.options));
    if (handleSignals) this.signals = closeOnSignals(this);
    this.wasSignalHandled = process.listenerCount('SIGTERM') > 0;
  }

  /** Where it listens; for a Unix domain socket, its path. */
  get url(): string {
    return this.where;
  }

  /** Whether `close()` was called: what a health check should be red for. */
  get closing(): boolean {
    return this.closingOnce !== null || this.wasAnnounced;
  }

  /** @internal From now on health checks are red; `close()` follows. */
  _announceClose(): void {
    this.wasAnnounced = true;
  }

  statistics(): ServerStatistics {
    return {
      ...this.host.counts,
      active: this.requests.size,
      webSockets: this.upgrades.size,
      background: this.backgroundTasks.size,
      connections: this.sockets.size,
    };
  }

  /**
   * Waits until the server has closed: the last line of a program that is nothing but a server. A cancel leaves the server as
   * it is; `await using` closes it then.
   */
  async untilClosed(): Promise<void> {
    await this.closed.wait();
  }

  /**
   * Stops gracefully: no new connections; requests under way may end within `gracefulTimeout`, and are told that their
   * connection closes; then they are cancelled, and may clean up within `cancelTimeout`; then their connections are
   * destroyed. Tasks of `background(fn)` have the same time. Calling it again waits for the first call.
   */
  close(): Promise<void> {
    this.closingOnce ??= detached(() => this.shutDown());
    return this.closingOnce;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private receive(
    listener: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): void {
    if (this.isDraining) announceClose({ incoming, outgoing });
    const status = statusOfBadHeaders(incoming, this.headerSize);
    if (status !== null) {
      if (incoming.httpVersionMajor < 2) outgoing.setHeader('connection', 'close');
      outgoing.writeHead(status).end();
      return;
    }
    listener(incoming, outgoing);
  }

  private endWorker(): Promise<void> {
    return endAsBySignal(() => this.close(), {
      wasHandled: this.wasSignalHandled,
      hasCome: () => this.signals?.haveCome() ?? false,
    });
  }

  private async shutDown(): Promise<void> {
    const { gracefulTimeout = 30_000, cancelTimeout = 5_000, drainDelay = 0 } = this.options;
    if (drainDelay > 0 && !this.wasAnnounced) await sleep(drainDelay);
    const begun = performance.now();
    this.isDraining = true;
    const closed = stopAccepting(this.node);
    for (const { bindings } of this.requests) announceClose(bindings);
    for (const upgrade of this.upgrades) upgrade.sayGoodbye();
    this.sessions.close();
    // In this time requests may still come in: what is under way is counted after it.
    await this.closeIdleConnections();
    if (!(await this.endWithin(gracefulTimeout))) {
      for (const request of [...this.requests, ...this.upgrades]) request.cancel('shutdown');
      for (const task of this.backgroundTasks) task.cancel('the server is closing');
      await this.endWithin(cancelTimeout);
    }
    for (const socket of this.sockets.keys()) socket.destroySoon();
    const left = begun + gracefulTimeout - performance.now();
    const destroy = setTimeout(
      () => this.destroyConnections(),
      Math.min(Math.max(left, LAST_BYTES_GRACE), LONGEST_TIMER),
    );
    await closed;
    clearTimeout(destroy);
    clearInterval(this.slowReaderCheck);
    this.signals?.ignore();
    this.closed.set();
  }

  /** Whether all requests and background tasks have ended in time. */
  private async endWithin(ms: number): Promise<boolean> {
    this.idle.clear();
    this.noteIdle();
    try {
      await timeout(ms, () => this.idle.wait());
      return true;
    } catch {
      return this.requests.size + this.upgrades.size + this.backgroundTasks.size === 0;
    }
  }

  private noteIdle(): void {
    // Nobody asks before.
    if (!this.isDraining) return;
    if (this.requests.size + this.upgrades.size + this.backgroundTasks.size === 0) this.idle.set();
  }

  private async closeIdleConnections(): Promise<void> {
    if (this.sockets.size === 0) return;
    await new Promise((resolve) => setTimeout(resolve, IDLE_GRACE));
    // For Node, a connection on which nothing has come yet is an idle one.
    if (this.options.gracefulTimeout !== 0) await this.firstBytes();
    // Node takes an answer that is written for one that is sent: it would cut those of slow clients.
    const areSending = [...this.sockets.keys()].some(isWaiting);
    if (!areSending && 'closeIdleConnections' in this.node) this.node.closeIdleConnections();
  }

  /** Counted in looks, not in time: a process that is held up has not looked. */
  private async firstBytes(): Promise<void> {
    const isNew = (socket: Socket) => socket.bytesRead === 0 && !socket.destroyed;
    for (let looks = 0; looks < FIRST_BYTE_LOOKS && [...this.sockets.keys()].some(isNew); looks++) {
      await new Promise((resolve) => setTimeout(resolve, FIRST_BYTE_INTERVAL));
    }
  }

  private destroyConnections(): void {
    this.sessions.destroy();
    for (const socket of this.sockets.keys()) socket.destroy();
  }

  /** One look at all connections now and then: a timeout per socket would cost each request a timer. */
  private cutSlowReaders(): NodeJS.Timeout | undefined {
    const { sendTimeout = 60_000 } = this.options.limits ?? {};
    if (sendTimeout === null) return undefined;
    const look = () => {
      for (const [socket, takenBefore] of this.sockets) {
        const taken = bytesTaken(socket);
        if (isWaiting(socket) && taken === takenBefore) socket.destroy();
        else this.sockets.set(socket, taken);
      }
      this.sessions.cutSlowReaders();
    };
    return setInterval(look, Math.min(sendTimeout, LONGEST_TIMER)).unref();
  }

  private makeHost(handler: FetchHandler, loop: EventLoop): RequestHost {
    const { cancelOnDisconnect, requestTimeout = null, onError = printError } = this.options;
    return {
      loop,
      handler,
      counts: { total: 0, cancelled: 0, timedOut: 0, failed: 0 },
      cancelsOnDisconnect: (request, method) => {
        if (cancelOnDisconnect === undefined) return method === 'GET' || method === 'HEAD';
        return typeof cancelOnDisconnect === 'function' ? cancelOnDisconnect(request) : cancelOnDisconnect;
      },
      bodyLimit: this.options.limits?.bodySize === null ? Infinity : (this.options.limits?.bodySize ?? BODY_SIZE),
      timeLimit: (request) => this.timeLimit(request, requestTimeout),
      begin: (request) => this.requests.add(request),
      end: (request) => {
        this.requests.delete(request);
        this.noteIdle();
      },
      background: (fn, name) => this.startBackground(fn, name),
      adopt: (task) => this.adopt(task),
      report: onError,
    };
  }

  private makeUpgradeHost({ loop, handler, background, adopt, report }: RequestHost): UpgradeHost {
    return {
      loop,
      handler,
      background,
      adopt,
      report,
      begin: (upgrade) => void this.upgrades.add(upgrade),
      end: (upgrade) => {
        this.upgrades.delete(upgrade);
        this.noteIdle();
      },
    };
  }

  private timeLimit(request: Request, configured: NonNullable<ServeOptions['requestTimeout']> | null): number | null {
    const limit = typeof configured === 'function' ? configured(request) : configured;
    const { deadlineHeader } = this.options;
    const asked = deadlineHeader === undefined ? null : request.headers.get(deadlineHeader);
    if (asked === null || !/^\d+$/.test(asked)) return limit;
    return limit === null ? Number(asked) : Math.min(limit, Number(asked));
  }

  private startBackground(fn: () => unknown, name: string | undefined): Task<unknown> {
    const task = detached(() => this.host.loop.createTask(fn, { name })) as Task<unknown>;
    this.adopt(task);
    return task;
  }

  private adopt(task: Task<unknown>): void {
    if (this.backgroundTasks.has(task)) return;
    this.backgroundTasks.add(task);
    task.addDoneCallback(() => {
      this.backgroundTasks.delete(task);
      this.noteIdle();
    });
  }
}

/** Resolves when the last connection has ended. */
function stopAccepting(node: AnyNodeServer): Promise<void> {
  // Node would end idle connections at once, also one on which a request is on its way.
  const endsIdle = node as { closeIdleConnections?: () => void };
  endsIdle.closeIdleConnections = () => {};
  const { close } = Object.getPrototypeOf(node) as { close(callback: () => void): void };
  const closed = new Promise<void>((resolve) => close.call(node, resolve));
  delete endsIdle.closeIdleConnections;
  return closed;
}

function announceClose({ incoming, outgoing }: NodeBindings): void {
  // HTTP/2 has GOAWAY for this.
  if (incoming instanceof Http2ServerRequest || outgoing.headersSent) return;
  outgoing.setHeader('connection', 'close');
}

function printError(error: unknown, request: string): void {
  console.error(`${request} failed:`, error);
}
