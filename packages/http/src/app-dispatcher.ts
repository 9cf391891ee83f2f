/** A session over an app: requests are handed to a fetch-style handler in this process, without a network. */
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { createTask, detached, Future, getRunningLoop, type Task, trackIO } from '@aiokit/core';
import type { Dispatcher } from 'undici';
import type { HeaderRecord } from './headers.ts';
import { Dispatcher as BaseDispatcher } from './undici.ts';

export type App =
  | ((request: Request) => Response | Promise<Response>)
  | { fetch(request: Request): Response | Promise<Response> };

export class AppDispatcher extends BaseDispatcher {
  private readonly handler: (request: Request) => Response | Promise<Response>;
  private readonly exchanges = new Set<AppExchange>();

  constructor(app: App) {
    super();
    const isFunction = typeof app === 'function';
    if (!isFunction && typeof (app as { fetch?: unknown } | null)?.fetch !== 'function') {
      throw new TypeError(`app must be a function (Request) => Response or have one as fetch, got ${typeof app}`);
    }
    this.handler = isFunction ? app : (request) => app.fetch(request);
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const exchange = new AppExchange(handler, () => this.exchanges.delete(exchange));
    this.exchanges.add(exchange);
    exchange.start(this.handler, options);
    return true;
  }

  override async destroy(): Promise<void> {
    for (const exchange of this.exchanges) exchange.abort(new Error('The session was closed'));
  }
}

class AppExchange implements Dispatcher.DispatchController {
  paused = false;
  reason: Error | null = null;
  private readonly handler: Dispatcher.DispatchHandler;
  private readonly onEnd: () => void;
  private task: Task<void> | null = null;
  private resumed: Future<void> | null = null;

  constructor(handler: Dispatcher.DispatchHandler, onEnd: () => void) {
    this.handler = handler;
    this.onEnd = onEnd;
  }

  get aborted(): boolean {
    return this.reason !== null;
  }

  start(app: (request: Request) => Response | Promise<Response>, options: Dispatcher.DispatchOptions): void {
    const { method, path } = options;
    this.task = detached(() => createTask(() => this.run(app, options), { name: `${method} ${path.split('?')[0]}` }));
  }

  abort(reason: Error): void {
    if (this.reason !== null) return;
    this.reason = reason;
    this.task?.cancel('client left');
    this.handler.onResponseError?.(this, reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.resumed?.done() === false) this.resumed.setResult();
  }

  private async run(
    app: (request: Request) => Response | Promise<Response>,
    options: Dispatcher.DispatchOptions,
  ): Promise<void> {
    const { real } = getRunningLoop().clock;
    const operation = real ? null : trackIO('http', { label: `${options.method} ${options.path}`, served: true });
    try {
      this.handler.onRequestStart?.(this, {});
      const response = await app(toRequest(options));
      this.handler.onResponseStart?.(this, response.status, toRecord(response.headers), response.statusText);
      if (response.body !== null && options.method !== 'HEAD') await this.send(response.body);
      if (!this.aborted) this.handler.onResponseEnd?.(this, {});
    } catch (error) {
      if (this.aborted) return; // The client has been told, and nobody else would listen.
      this.reason = error as Error;
      this.handler.onResponseError?.(this, error as Error);
    } finally {
      operation?.end();
      this.onEnd();
    }
  }

  private async send(body: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of body) {
      if (this.paused) {
        this.resumed = new Future();
        await this.resumed;
      }
      if (this.aborted) return;
      this.handler.onResponseData?.(this, Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    }
  }
}

function toRequest({ origin, path, method, headers, body }: Dispatcher.DispatchOptions): Request {
  const init: RequestInit = { method };
  const list = new Headers();
  for (const [name, value] of Object.entries((headers ?? {}) as HeaderRecord)) {
    for (const item of Array.isArray(value) ? value : [value]) list.append(name, item);
  }
  init.headers = list;
  if (body instanceof Readable) {
    init.body = Readable.toWeb(body) as ReadableStream;
    init.duplex = 'half';
  } else if (body !== null && body !== undefined) {
    init.body = body as string | Uint8Array<ArrayBuffer>;
  }
  return new Request(new URL(path, origin), init);
}

function toRecord(headers: Headers): IncomingHttpHeaders {
  const record: IncomingHttpHeaders = Object.fromEntries(headers);
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) record['set-cookie'] = cookies;
  return record;
}
