import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { Bridge, type CancelledError } from '@aiokit/core';
import type { Dispatcher } from 'undici';

type Handler = Dispatcher.DispatchHandler;
type Controller = Dispatcher.DispatchController;

/**
 * Binds any undici dispatcher to the ambient task: a request made in a task is a wait of that task from then on until its
 * response has been read, and a cancel aborts it at once, also while it is queued or its connection is being made. Compose it
 * last, then it is outermost and shared work (`cache`, `deduplicate`) below it is spared.
 *
 * Outside a task (and outside of any timeout or group) a request passes untouched.
 *
 * @example
 * ```ts
 * const agent = new Agent().compose(interceptors.dns(), taskInterceptor());
 * const { body } = await request(url, { dispatcher: agent });
 * ```
 */
export function taskInterceptor(): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    if (!Bridge.isNeeded()) return dispatch(options, handler);
    return dispatch(
      options,
      handler.onRequestStart === undefined ? new OldTaskHandler(handler) : new TaskHandler(handler),
    );
  };
}

/** The wait of a request that its caller awaits as a native promise, or not at all. */
export class RequestWait extends Bridge<void> {
  private readonly abort: (error: CancelledError) => void;

  constructor(abort: (error: CancelledError) => void) {
    super();
    this.abort = abort;
    this.waitFromNow();
  }

  end(): void {
    if (!this.done()) this.setResult();
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.abort(error);
  }
}

class TaskHandler implements Handler {
  private readonly target: Handler;
  private readonly wait: RequestWait;
  private controller: Controller | null = null;
  private reason: Error | null = null;

  constructor(target: Handler) {
    this.target = target;
    this.wait = new RequestWait((error) => {
      this.reason = error;
      if (this.controller !== null) this.controller.abort(error);
      else target.onResponseError?.(UNSENT, error);
    });
  }

  onRequestStart(controller: Controller, context: unknown): void {
    if (this.reason !== null) return controller.abort(this.reason);
    this.controller = controller;
    this.target.onRequestStart?.(controller, context);
  }

  onRequestUpgrade(controller: Controller, status: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    this.wait.end();
    this.target.onRequestUpgrade?.(controller, status, headers, socket);
  }

  onResponseStart(controller: Controller, status: number, headers: IncomingHttpHeaders, statusText?: string): void {
    this.target.onResponseStart?.(controller, status, headers, statusText);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    this.target.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
    this.wait.end();
    this.target.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Controller, error: Error): void {
    this.wait.end();
    // Cancelled before it was sent: it has been told.
    if (this.reason !== null && this.controller === null) return;
    this.target.onResponseError?.(controller, error);
  }

  onBodySent(chunkSize: number, totalBytesSent: number): void {
    this.target.onBodySent?.(chunkSize, totalBytesSent);
  }
}

/** What a handler is given that fails before there is a connection. */
const UNSENT: Controller = {
  aborted: true,
  paused: false,
  reason: null,
  abort() {},
  pause() {},
  resume() {},
};

/** The handlers of undici 6, and of the fetch of Node 22 and 24. */
class OldTaskHandler implements Handler {
  private readonly target: Handler;
  private readonly wait: RequestWait;
  private abort: ((error?: Error) => void) | null = null;
  private reason: Error | null = null;

  constructor(target: Handler) {
    this.target = target;
    this.wait = new RequestWait((error) => {
      this.reason = error;
      if (this.abort !== null) this.abort(error);
      else target.onError?.(error);
    });
  }

  onConnect(abort: (error?: Error) => void, ...rest: unknown[]): void {
    if (this.reason !== null) return abort(this.reason);
    this.abort = abort;
    (this.target.onConnect as (abort: (error?: Error) => void, ...rest: unknown[]) => void)(abort, ...rest);
  }

  onUpgrade(status: number, headers: Buffer[] | string[] | null, socket: Duplex): void {
    this.wait.end();
    this.target.onUpgrade?.(status, headers, socket);
  }

  onResponseStarted(): void {
    this.target.onResponseStarted?.();
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean {
    return this.target.onHeaders?.(status, headers, resume, statusText) ?? true;
  }

  onData(chunk: Buffer): boolean {
    return this.target.onData?.(chunk) ?? true;
  }

  onComplete(trailers: string[] | null): void {
    this.wait.end();
    this.target.onComplete?.(trailers);
  }

  onError(error: Error): void {
    this.wait.end();
    if (this.reason !== null && this.abort === null) return;
    this.target.onError?.(error);
  }

  onBodySent(chunkSize: number, totalBytesSent: number): void {
    this.target.onBodySent?.(chunkSize, totalBytesSent);
  }
}
