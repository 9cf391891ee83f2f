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
import { type EventLoop, isCancelled, type Operation, type Task, timeout, trackIO, wait } from '@aiokit/core';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { FetchHandler, NodeBindings } from './app.ts';
import { limitBody } from './limit-body.ts';
import { type Ending, type RequestContext, requests } from './request-context.ts';
import { sendStream, streamIn } from './response-stream.ts';

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

export class RequestTask implements RequestContext {
  readonly bindings: NodeBindings;
  readonly name: string;
  cancelOnDisconnect: boolean;
  task: Task<unknown> | null = null;
  readonly upgrade = null;
  ending: Ending | null = null;
  private readonly host: RequestHost;
  private readonly request: Request;
  /** What the handler has started. */
  private children: Set<Task<unknown>> | null = null;
  /** Gives the response to whoever writes it; null while the handler has not been seen to wait. */
  private resolve: ((response: Response) => void) | null = null;
  private response: Response | null = null;
  private operation: Operation | null = null;
  private watchesClient = false;
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
    if (this.ending !== null) return plain(this.ending);
    host.begin(this);
    requests.run(this, () => {
      this.task = host.loop.createTask(this.handle, {
        name: this.name,
        eager: true,
        onTask: this.own,
      }) as Task<unknown>;
    });
    if (this.response !== null) return this.response;
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
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

  private readonly own = (child: Task<unknown>): void => {
    this.children ??= new Set();
    this.children.add(child);
    child.addDoneCallback((done) => void this.children?.delete(done));
  };

  private readonly handle = (): unknown => {
    const { loop } = this.host;
    // A virtual clock may go on while a client of this loop waits for what this handler waits for.
    if (!loop.clock.real) this.operation = trackIO('http', { label: this.name, served: true });
    let answer: Response | Promise<Response>;
    try {
      answer = this.callHandler();
    } catch (error) {
      return this.reply(this.explain(error));
    }
    return answer instanceof Promise ? this.finish(answer) : this.reply(answer);
  };

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

  private async finish(pending: Promise<Response>): Promise<void> {
    this.bindings.outgoing.on('close', this.onClose);
    // A client in this process waits for us: virtual time may go on all the same.
    const operation = this.host.loop.clock.real ? null : trackIO('http', { label: this.name, served: true });
    try {
      await this.reply(await pending.catch((error: unknown) => this.explain(error)));
    } finally {
      operation?.end();
    }
  }

  /** Gives the answer, and ends the request. */
  private reply(response: Response): Promise<void> | undefined {
    const { ending } = this;
    const answer = ending === null ? response : plain(ending);
    const stream = streamIn(answer);
    if (stream !== null) return this.stream(answer, stream);
    this.hand(answer);
    return this.leave();
  }

  private async stream(response: Response, stream: ReadableStream<Uint8Array>): Promise<void> {
    const { outgoing } = this.bindings;
    this.watchClient();
    try {
      await sendStream(response, stream, this.bindings);
    } catch (error) {
      // A client that gets a clean end would take half an answer for a whole one.
      outgoing.destroy();
      if (this.ending === null || !isCancelled(error)) this.fail(error);
    }
    this.hand(RESPONSE_ALREADY_SENT);
    // It ends as done, not as cancelled: what a framework's streaming helper still cleans up is left alone then.
    await this.leave();
  }

  /** Whatever the handler has started ends with the request; what it handed to `background` has another owner. */
  private leave(): Promise<void> | undefined {
    if (this.children === null || this.children.size === 0) {
      this.end();
      return undefined;
    }
    return this.endChildren();
  }

  private async endChildren(): Promise<void> {
    for (let left = this.living(); left.length > 0; left = this.living()) {
      for (const child of left) child.cancel(`${this.name} has ended; background(fn) starts what shall outlive it`);
      await wait(left);
    }
    this.end();
  }

  /** What `shield` protects is the server's from now on, as if it were in the background. */
  private living(): Task<unknown>[] {
    const living = [...(this.children ?? [])].filter((child) => !child.done());
    for (const child of living) if (child.shielded()) this.host.adopt(child);
    return living.filter((child) => !child.shielded());
  }

  private hand(response: Response): void {
    this.response = response;
    this.resolve?.(response);
  }

  private end(): void {
    const { counts } = this.host;
    if (this.ending === 'client left') counts.cancelled++;
    if (this.ending === 'timeout') counts.timedOut++;
    this.hasEnded = true;
    this.operation?.end();
    // What was handed over is not written yet: the request is over when its response is.
    if (!this.watchesClient || this.isClosed) this.host.end(this);
  }

  private watchClient(): void {
    if (this.watchesClient) return;
    this.watchesClient = true;
    this.bindings.outgoing.on('close', this.onClose);
  }

  private readonly onClose = (): void => {
    this.isClosed = true;
    if (this.hasEnded) this.host.end(this);
    else if (this.cancelOnDisconnect && !this.bindings.outgoing.writableEnded) this.cancel('client left');
  };

  /** What an exception of the handler looks like from outside: nothing of it is shown. */
  private explain(error: unknown): Response {
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
