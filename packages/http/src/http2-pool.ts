/**
 * Http2Pool: the connections to one origin that may speak HTTP/2.
 *
 * undici's Pool makes a connection per request while the first one is still being made: a burst of 100 requests had 100
 * connections, of which one would have done. Here only one is being made at a time, and whoever finds none that is free
 * waits for it. When it speaks HTTP/2, it takes as many of them as it has streams; when it speaks HTTP/1.1, each goes for a
 * connection of its own from then on, as ever.
 *
 * The attempt belongs to nobody. It goes on when the request that began it is cancelled, and ends with the last one that
 * waits. If it fails, all who wait have failed.
 */
import type { buildConnector, Dispatcher, Pool as PoolType } from 'undici';
import { type Attempt, actingFor, type Connecting, whoseDispatch } from './connecting.ts';
import { type InnerClient, passOver } from './inner-client.ts';
import { type InnerPool, kAddClient, kBusy, kDispatch, kFree, Pool } from './undici.ts';

type Connector = buildConnector.connector;

export function makeHttp2Pool(
  origin: string | URL,
  { connect, ...options }: PoolType.Options & { connect: Connector },
): InnerPool {
  const negotiation = new Negotiation(connect, new URL(origin).protocol === 'http:');
  return new Http2Pool(origin, { ...options, connect: negotiation.connect }, negotiation);
}

class Http2Pool extends Pool {
  private readonly negotiation: Negotiation;

  constructor(origin: string | URL, options: PoolType.Options, negotiation: Negotiation) {
    super(origin, options);
    this.negotiation = negotiation;
  }

  override [kDispatch](options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { attempt } = this.negotiation;
    if (attempt === null || this[kFree] > 0) return super[kDispatch](options, handler);
    attempt.hold(this, options, handler);
    return true;
  }

  override [kAddClient](client: InnerClient): this {
    super[kAddClient](client);
    client.on('drain', () => this.drained(client)); // After the pool's own listener.
    return this;
  }

  /** undici says so also when a client has filled its last stream meanwhile, and would then line up the next request there. */
  private drained(client: InnerClient): void {
    if (client[kBusy]) passOver(client);
    else this.negotiation.attempt?.releaseNext();
  }
}

/** What is known of an origin's protocol, and the connection that will tell. */
class Negotiation {
  attempt: SharedAttempt | null = null;
  private isHttp1: boolean;
  private readonly connector: Connector;

  constructor(connector: Connector, isHttp1: boolean) {
    this.connector = connector;
    this.isHttp1 = isHttp1;
  }

  readonly connect: Connector = (target, callback) => {
    if (this.isHttp1) return this.connector(target, callback);
    const attempt = new SharedAttempt(whoseDispatch(), () => this.ended(attempt));
    this.attempt = attempt;
    const connected: buildConnector.Callback = (...result) => {
      const [error, socket] = result;
      if (error !== null) {
        this.ended(attempt);
        callback(...result);
        return attempt.onResponseError(null, error);
      }
      this.isHttp1 = (socket as { alpnProtocol?: unknown }).alpnProtocol !== 'h2';
      attempt.isMade();
      callback(...result);
      // In the next microtask the pool learns that the connection has room.
      queueMicrotask(() => {
        this.ended(attempt);
        attempt.release();
      });
    };
    try {
      actingFor(attempt, () => this.connector(target, connected));
    } catch (error) {
      this.ended(attempt);
      throw error;
    }
  };

  private ended(attempt: SharedAttempt): void {
    if (this.attempt === attempt) this.attempt = null;
  }
}

/** A connection that is being made for several requests. */
class SharedAttempt implements Connecting {
  /** Whose request undici holds until there is a connection. `null`: nobody can cancel that one. */
  private readonly first: Connecting | null;
  private readonly onAbandoned: () => void;
  private readonly parts = new Set<Part>();
  private socket: Attempt | null = null;

  constructor(first: Connecting | null, onAbandoned: () => void) {
    this.first = first;
    this.onAbandoned = onAbandoned;
  }

  connectsWith(socket: Attempt): void {
    this.socket = socket;
    const { first } = this;
    if (first !== null) this.add(new Part(this, first, (error) => first.onResponseError(null, error), null));
  }

  /** The request is dispatched when the connection is there. */
  hold(pool: Dispatcher, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const send = () => void pool.dispatch(options, handler);
    this.add(new Part(this, whoseDispatch(), (error) => handler.onError?.(error), send));
  }

  private add(part: Part): void {
    this.parts.add(part);
    part.owner?.connectsWith(part);
  }

  leave(part: Part, reason: Error): void {
    if (!this.parts.delete(part)) return;
    if (this.parts.size === 0 && this.first !== null) {
      this.onAbandoned();
      this.socket?.destroy(reason);
    }
    part.fail(reason);
  }

  /** There is nothing to destroy any more. */
  isMade(): void {
    this.socket = null;
  }

  release(): void {
    for (const part of this.parts) this.send(part);
  }

  /** Another connection has room. */
  releaseNext(): void {
    for (const part of this.parts) if (part.send !== null) return this.send(part);
  }

  private send(part: Part): void {
    this.parts.delete(part);
    if (part.send !== null) actingFor(part.owner, part.send);
  }

  onResponseError(_controller: null, error: Error): void {
    for (const part of this.parts) {
      this.parts.delete(part);
      part.fail(error);
    }
  }
}

/** What one request has of an attempt. */
class Part implements Attempt {
  private readonly attempt: SharedAttempt;
  readonly owner: Connecting | null;
  readonly fail: (error: Error) => void;
  /** `null`: undici has it. */
  readonly send: (() => void) | null;

  constructor(
    attempt: SharedAttempt,
    owner: Connecting | null,
    fail: (error: Error) => void,
    send: (() => void) | null,
  ) {
    this.attempt = attempt;
    this.owner = owner;
    this.fail = fail;
    this.send = send;
  }

  destroy(reason: Error): void {
    this.attempt.leave(this, reason);
  }
}
