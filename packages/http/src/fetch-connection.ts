/**
 * What a call of the platform's fetch waits for, and how that is ended.
 *
 * A controller per call is the documented way, and the dearest thing that could be added to a fetch: a Request follows its
 * signal with a controller of its own, weak references, listeners and finalizers, 7 to 12 % of a request (see
 * docs/design.md). The dispatcher, which Node's fetch takes as an option, learns of the request's own `abort` for next to
 * nothing. So a plain call goes that way; one that needs more (a user's signal, a streamed body, another dispatcher, a fetch
 * that is not Node's own) has a controller.
 *
 * Node watches each Response with a FinalizationRegistry, and so whatever a response leads to outlives the garbage collections
 * of young objects: a response has its connection alone, which lets go of the rest when all has come.
 */
import { type Follower, follow } from './follower.ts';

type Fetch = typeof globalThis.fetch;
type Input = string | URL | Request;

/** The part of a call that its response has, too. */
export abstract class FetchConnection {
  /** What `fetch` is called with. */
  abstract readonly init: RequestInit;
  /** Whether the server may take as long as it likes for the next piece: virtual time goes on then. */
  isOpenEnded = false;
  private readonly input: Input;

  constructor(input: Input) {
    this.input = input;
  }

  static for(send: Fetch, input: Input, init: RequestInit | undefined): FetchConnection {
    return isPlain(input, init) && isNodes(send) ? new Dispatched(input, init) : new Controlled(input, init);
  }

  get label(): string {
    return `fetch ${(this.input as Partial<Request>).url ?? String(this.input)}`;
  }

  /** Ends the request, wherever it is. */
  abstract abort(reason: Error): void;

  /** All of it has come: there is nothing left to end. */
  abstract complete(): void;

  /** A part of it has failed: the user's signal is of no use any more. What goes on beside that part can still be ended. */
  abstract stop(): void;
}

function isPlain(input: Input, init: RequestInit | undefined): boolean {
  if (typeof input !== 'string' && !(input instanceof URL)) return false;
  if (init === undefined) return true;
  const { signal, body, dispatcher } = init as { signal?: unknown; body?: unknown; dispatcher?: unknown };
  return signal == null && dispatcher === undefined && (body == null || typeof body === 'string');
}

let known: Fetch | null = null;

/** Whether it is Node's own, and not a mock or a tracer around it, which may not pass the dispatcher on. */
function isNodes(send: Fetch): boolean {
  if (send === known) return true;
  if (!Function.prototype.toString.call(send).includes("require('internal/deps/undici/undici')")) return false;
  known = send;
  return true;
}

/** Where undici keeps the dispatcher of the platform's fetch: with version 8 in another place than before. */
const GLOBAL_DISPATCHER = Symbol.for(
  Number.parseInt(process.versions.undici ?? '0', 10) >= 8 ? 'undici.globalDispatcher.2' : 'undici.globalDispatcher.1',
);

/** What is needed of a dispatcher and of fetch's own handlers, of undici 6 to 8. */
interface AnyDispatcher {
  readonly isMockActive?: boolean;
  dispatch(options: unknown, handler: FetchHandler): boolean;
}

interface FetchHandler {
  /** Ends the request; fetch sets it when the request starts. */
  abort: ((reason: Error) => void) | null;
  onRequestStart?(...args: unknown[]): void;
  onResponseError?(controller: null, error: Error): void;
  onConnect?(...args: unknown[]): void;
  onError?(error: Error): void;
}

/** Passes requests on to the dispatcher that fetch would have taken, and remembers how to end the last one. */
class Dispatched extends FetchConnection implements AnyDispatcher {
  readonly init: RequestInit;
  private handler: FetchHandler | null = null;
  private reason: Error | null = null;

  constructor(input: Input, init: RequestInit | undefined) {
    super(input);
    this.init = { ...init, dispatcher: this } as unknown as RequestInit;
  }

  /** fetch asks for it, on behalf of undici's MockAgent. */
  get isMockActive(): boolean {
    return globalDispatcher().isMockActive === true;
  }

  dispatch(options: unknown, handler: FetchHandler): boolean {
    if (this.reason !== null) {
      if (handler.onResponseError === undefined) handler.onError?.(this.reason);
      else handler.onResponseError(null, this.reason);
      return true;
    }
    this.handler = handler;
    return globalDispatcher().dispatch(options, handler);
  }

  abort(reason: Error): void {
    this.reason = reason;
    const { handler } = this;
    if (handler === null) return; // It has not been sent, and will not be.
    if (handler.abort !== null) handler.abort(reason);
    else abortAtStart(handler, reason);
  }

  complete(): void {
    this.handler = null;
  }

  stop(): void {}
}

function globalDispatcher(): AnyDispatcher {
  return (globalThis as unknown as Record<symbol, AnyDispatcher>)[GLOBAL_DISPATCHER] as AnyDispatcher;
}

/** It is connecting. The connection is of use to others, the request is not sent. */
function abortAtStart(handler: FetchHandler, reason: Error): void {
  const start = handler.onRequestStart === undefined ? 'onConnect' : 'onRequestStart';
  const original = handler[start];
  handler[start] = (...args) => {
    original?.apply(handler, args);
    handler.abort?.(reason);
  };
}

/** A controller per call, which follows the user's signal, if there is one. */
class Controlled extends FetchConnection {
  readonly init: RequestInit;
  private readonly controller = new AbortController();
  private readonly follower: Follower | null;

  constructor(input: Input, init: RequestInit | undefined) {
    super(input);
    const signal = init?.signal === undefined ? (input as Partial<Request>).signal : init.signal;
    this.follower = signal == null ? null : follow(signal, this.controller);
    this.init = { ...init, signal: this.controller.signal };
  }

  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  complete(): void {
    this.stop();
  }

  stop(): void {
    this.follower?.stop();
  }
}
