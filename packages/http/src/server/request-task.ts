/**
 * The bridge of the server: how a request becomes a Task.
 *
 * The handler runs in the task, and so does the sending of a streamed body: a source that is pulled elsewhere would wait in
 * nobody's scope, and a client who leaves could not stop it. The request objects and plain bodies are @hono/node-server's.
 *
 * "The client has left" is a response that is closed before it was ended (`close` without `writableEnded`): right in every
 * case tried, for HTTP/1.1 and HTTP/2. A request's own `close` comes after each upload, a response's `writableFinished` is
 * true for a reset HTTP/2 stream.
 */
import { detached, type EventLoop, isCancelled, type Operation, type Task, timeout, trackIO } from '@aiokit/core';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Linked } from '../chain.ts';
import type { FetchHandler, NodeBindings } from './app.ts';
import { Children } from './children.ts';
import { follow, unfollow } from './connection.ts';
import { cutOff } from './cut-off.ts';
import { failWhenReset, limitBody } from './limit-body.ts';
import { bindTask, type Ending, inheritRequest, isAbortedUpload, type RequestContext } from './request-context.ts';
import { ClientLeft, sendStream, streamIn } from './response-stream.ts';

/** What a request needs of its server. */
export interface RequestHost {
  readonly loop: EventLoop;
  readonly handler: FetchHandler;
  readonly counts: RequestCounts;
  cancelsOnDisconnect(request: Request, method: string): boolean;
  timeLimit(request: Request): number | null;
  /** In bytes. */
  readonly bodyLimit: number;
  begin(request: RequestTask): void;
  end(request: RequestTask): void;
  background(fn: () => unknown, name: string | undefined): Task<unknown>;
  /** Waits for the task when the server closes. */
  adopt(task: Task<unknown>): void;
  report(error: unknown, name: string): void;
}

/** How requests have ended, since the server was started. */
export interface RequestCounts {
  /** All that have begun. */
  total: number;
  /** The client left before its answer (what nginx logs as 499). */
  cancelled: number;
  /** The handler took longer than its `requestTimeout` (504). */
  timedOut: number;
  /** The handler, or the source of its body, threw. */
  failed: number;
}

export class RequestTask implements RequestContext, Linked<RequestTask> {
  readonly bindings: NodeBindings;
  readonly name: string;
  cancelOnDisconnect: boolean;
  task: Task<unknown> | null = null;
  readonly upgrade = null;
  ending: Ending | null = null;
  /** @internal `null` until the server knows of it: one that is answered without a wait is over before anybody could ask. */
  _chain: Linked<RequestTask>['_chain'] = null;
  /** @internal */ _next: RequestTask | null = null;
  /** @internal */ _previous: RequestTask | null = null;
  /** @internal The one before it on its connection, if that is still under way. */ _earlier: RequestTask | null = null;
  private readonly host: RequestHost;
  private readonly request: Request;
  private children: Children | null = null;
  private answer: Response | Promise<Response> | null = null;
  private operation: Operation | null = null;
  private isStreaming = false;
  private isClosed = false;
  private hasEnded = false;

  constructor(host: RequestHost, request: Request, bindings: NodeBindings) {
    const { method = 'GET', url = '/' } = bindings.incoming;
    const query = url.indexOf('?');
    this.name = `${method} ${query < 0 ? url : url.slice(0, query)}`;
    this.host = host;
    this.request = request;
    this.bindings = bindings;
    this.cancelOnDisconnect = host.cancelsOnDisconnect(request, method);
  }

  /** Runs the handler up to its first wait. A response that is there by then is handed over without a promise. */
  start(): Response | Promise<Response> {
    const { host } = this;
    host.counts.total++;
    limitBody(this.bindings.incoming, host.bodyLimit, () => this.cancel('body too large'));
    failWhenReset(this.bindings.incoming);
    if (this.ending !== null) return plain(this.ending);
    host.loop.createTask(() => this.handle(), { name: this.name, eager: true, onTask: inheritRequest });
    return this.answer as Response | Promise<Response>;
  }

  background(fn: () => unknown, name: string | undefined): Task<unknown> {
    return this.host.background(fn, name);
  }

  /** Ends the handler; the reason decides what the client is told, if it is still there. */
  cancel(ending: Ending): void {
    if (this.task?.done()) return;
    this.ending ??= ending;
    this.task?.cancel(`${this.name}: ${ending}`);
  }

  own(child: Task<unknown>): void {
    this.children ??= new Children();
    this.children.add(child);
  }

  private handle(): Promise<unknown> | undefined {
    this.task = bindTask(this);
    const { loop } = this.host;
    // A virtual clock may go on while a client of this loop waits for what this handler waits for.
    if (!loop.clock.real) this.operation = trackIO('http', { label: this.name, served: true });
    let answer: Response | Promise<Response>;
    try {
      answer = this.callHandler();
    } catch (error) {
      answer = this.explain(error);
    }
    if (answer instanceof Promise) {
      this.list();
      this.answer = this.finish(answer);
    } else {
      this.answer = this.reply(answer);
    }
    return this.answer instanceof Promise ? this.answer : undefined;
  }

  private callHandler(): Response | Promise<Response> {
    const { host, request, bindings } = this;
    const limit = host.timeLimit(request);
    return limit === null ? host.handler(request, bindings) : this.callWithin(limit);
  }

  private async callWithin(limit: number): Promise<Response> {
    return await timeout(limit, async (t) => {
      try {
        return await this.host.handler(this.request, this.bindings);
      } finally {
        // A framework may have made an answer of its own of the cancel: it is a timeout all the same.
        if (t.expired()) this.ending ??= 'timeout';
      }
    }).catch((error) => {
      if ((error as { name?: string }).name === 'TimeoutError') this.ending ??= 'timeout';
      throw error;
    });
  }

  private async finish(pending: Promise<Response>): Promise<Response> {
    let response: Response;
    try {
      response = await pending;
    } catch (error) {
      response = this.explain(error);
    }
    return this.reply(response);
  }

  /** What the adapter is to send. Ends the request. */
  private reply(response: Response): Response | Promise<Response> {
    const answer = this.ending === null ? this.checked(response) : plain(this.ending);
    const stream = streamIn(answer);
    if (stream !== null) return this.stream(answer, stream);
    this.leave();
    return answer;
  }

  private checked(response: Response): Response {
    if (typeof (response as Response | undefined)?.status === 'number') return response;
    return this.explain(new TypeError(`The handler must answer with a Response, got ${typeof response}`));
  }

  private async stream(response: Response, stream: ReadableStream<Uint8Array>): Promise<Response> {
    const { outgoing } = this.bindings;
    this.isStreaming = true;
    this.list();
    outgoing.on('close', () => this._closed());
    try {
      await sendStream(response, stream, this.bindings);
    } catch (error) {
      cutOff(outgoing);
      if (error instanceof ClientLeft) this.ending ??= 'client left';
      else if (this.ending === null || !isCancelled(error)) this.fail(error);
    }
    // It ends as done, not as cancelled: what a framework's streaming helper still cleans up is left alone then.
    this.leave();
    return RESPONSE_ALREADY_SENT;
  }

  /** Whatever the handler has started ends with the request; what it handed to `background` has another owner. */
  private leave(): void {
    if (this.children === null || this.children.areDone) this.end();
    // Nobody's cancel is to reach this: the request is over when it is.
    else detached(() => this.endWith(this.children as Children));
  }

  private async endWith(children: Children): Promise<void> {
    this.list();
    await children.end(this.name, (task) => this.host.adopt(task));
    this.end();
  }

  private end(): void {
    const { counts } = this.host;
    if (this.ending === 'client left') counts.cancelled++;
    if (this.ending === 'timeout') counts.timedOut++;
    this.hasEnded = true;
    this.operation?.end();
    // What was streamed may not have left: the request is over when its response is.
    if (!this.isStreaming || this.isClosed) this.unlist();
  }

  /** From now on the server counts it, and its client is watched. */
  private list(): void {
    if (this._chain !== null) return;
    this.host.begin(this);
    const { incoming, outgoing } = this.bindings;
    if (incoming.httpVersionMajor < 2) follow(this);
    else outgoing.on('close', () => this._closed());
  }

  private unlist(): void {
    if (this._chain === null) return;
    if (this.bindings.incoming.httpVersionMajor < 2) unfollow(this);
    this.host.end(this);
  }

  /** @internal The response is closed, or its connection. */
  _closed(): void {
    if (!this.hasEnded && this.isClosed) return;
    this.isClosed = true;
    if (this.hasEnded) this.unlist();
    else if (this.cancelOnDisconnect && !this.bindings.outgoing.writableEnded) this.cancel('client left');
  }

  /** What an exception of the handler looks like from outside: nothing of it is shown. */
  private explain(error: unknown): Response {
    if (this.ending === null && isAbortedUpload(error, this.bindings)) this.ending = 'client left';
    // Whoever owns the loop may cancel all of its tasks: that is no failure of the handler.
    if (this.ending === null && isCancelled(error) && this.task !== null && this.task.cancelling() > 0)
      this.ending = 'shutdown';
    if (this.ending === null) this.fail(error);
    return plain(this.ending);
  }

  private fail(error: unknown): void {
    this.host.counts.failed++;
    this.host.report(error, this.name);
  }
}

function plain(ending: Ending | null): Response {
  switch (ending) {
    case 'timeout':
      return new Response('Gateway Timeout', { status: 504 });
    case 'shutdown':
      return new Response('Service Unavailable', { status: 503, headers: { connection: 'close' } });
    case 'body too large':
      return new Response('Content Too Large', { status: 413, headers: { connection: 'close' } });
    case 'client left':
      return new Response(null, { status: 499 });
    case null:
      return new Response('Internal Server Error', { status: 500 });
  }
}
