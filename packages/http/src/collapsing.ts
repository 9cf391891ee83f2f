/**
 * Request collapsing: equal requests that are under way at the same time are one exchange with the server, which each caller
 * sees as its own.
 *
 * undici's `deduplicate` interceptor is not safe under cancellation: the first caller holds the real request, and its cancel
 * is the failure of all. Here nobody holds it. It is cancelled when its last caller leaves.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type Attempt, type Connecting, dispatchFor } from './connecting.ts';
import type { Applicant, ConnectionGate, Ticket } from './connection-gate.ts';
import type { Exchange } from './exchange.ts';

export class Collapser {
  private readonly gate: ConnectionGate;
  private readonly dispatcher: Dispatcher;
  private readonly running = new Map<string, CollapsedExchange>();

  constructor(gate: ConnectionGate, dispatcher: Dispatcher) {
    this.gate = gate;
    this.dispatcher = dispatcher;
  }

  /** Joins an equal request whose answer has not begun, or begins one. */
  join(exchange: Exchange, options: Dispatcher.DispatchOptions): void {
    const { method, origin, path, headers } = options;
    const key = `${method} ${String(origin)}${path} ${JSON.stringify(headers)}`;
    const running = this.running.get(key);
    if (running !== undefined) return running.add(exchange);
    const collapsed = new CollapsedExchange(this.dispatcher, options, () => {
      if (this.running.get(key) === collapsed) this.running.delete(key);
    });
    this.running.set(key, collapsed);
    collapsed.add(exchange);
    collapsed.enter(this.gate);
  }
}

/** One exchange with the server, for several callers. */
class CollapsedExchange implements Dispatcher.DispatchHandler, Applicant, Connecting {
  private readonly dispatcher: Dispatcher;
  private readonly options: Dispatcher.DispatchOptions;
  /** Nobody else may join. */
  private readonly onClosed: () => void;
  private readonly passengers = new Set<Passenger>();
  private ticket: Ticket | null = null;
  private controller: Dispatcher.DispatchController | null = null;
  private connecting: Attempt | null = null;
  private reason: Error | null = null;

  constructor(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions, onClosed: () => void) {
    this.dispatcher = dispatcher;
    this.options = options;
    this.onClosed = onClosed;
  }

  add(exchange: Exchange): void {
    const passenger = new Passenger(exchange, this);
    this.passengers.add(passenger);
    exchange.boards(passenger);
    if (this.connecting !== null) exchange.connectsWith(this.connecting);
    if (this.controller !== null) exchange.onRequestStart(passenger);
  }

  enter(gate: ConnectionGate): void {
    const ticket = gate.enter(String(this.options.origin), this);
    if (this.reason === null) this.ticket = ticket;
  }

  admitted(ticket: Ticket): void {
    this.ticket = ticket;
    dispatchFor(this, this.dispatcher, this.options);
  }

  connectsWith(attempt: Attempt): void {
    this.connecting = attempt;
    for (const { exchange } of this.passengers) exchange.connectsWith(attempt);
  }

  /** One caller has left. */
  leave(passenger: Passenger, reason: Error): void {
    if (!this.passengers.delete(passenger)) return;
    passenger.exchange.onResponseError(passenger, reason);
    if (this.passengers.size > 0) return this.balance();
    this.reason = reason;
    this.onClosed();
    if (this.controller !== null) this.controller.abort(reason);
    else if (this.connecting !== null) this.connecting.destroy(reason);
    else if (this.ticket?.state === 'waiting') this.ticket.release();
  }

  /** The fastest reader sets the pace; what the others have not read yet is kept for them. */
  balance(): void {
    const { controller } = this;
    if (controller === null) return;
    for (const { paused } of this.passengers) {
      if (paused) continue;
      if (controller.paused) controller.resume();
      return;
    }
    if (!controller.paused) controller.pause();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.connecting = null;
    this.controller = controller;
    if (this.reason !== null) return controller.abort(this.reason);
    for (const passenger of [...this.passengers]) passenger.exchange.onRequestStart(passenger);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText?: string,
  ): void {
    if (status >= 200) this.onClosed();
    for (const passenger of [...this.passengers])
      passenger.exchange.onResponseStart(passenger, status, headers, statusText);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    for (const passenger of [...this.passengers]) passenger.push(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    for (const passenger of [...this.passengers]) passenger.end(trailers);
    this.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.onClosed();
    for (const passenger of [...this.passengers]) passenger.fail(error);
    this.end();
  }

  private end(): void {
    this.controller = null;
    this.connecting = null;
    this.ticket?.release();
  }
}

/** A caller's hold on the exchange: what its pauses and its abort mean to the others. */
class Passenger implements Dispatcher.DispatchController {
  paused = false;
  aborted = false;
  reason: Error | null = null;
  readonly exchange: Exchange;
  private readonly shared: CollapsedExchange;
  private readonly held: Buffer[] = [];
  private trailers: IncomingHttpHeaders | null = null;
  private error: Error | null = null;

  constructor(exchange: Exchange, shared: CollapsedExchange) {
    this.exchange = exchange;
    this.shared = shared;
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.held.length = 0;
    this.shared.leave(this, reason);
  }

  pause(): void {
    this.paused = true;
    this.shared.balance();
  }

  resume(): void {
    this.paused = false;
    this.flush();
    this.shared.balance();
  }

  push(chunk: Buffer): void {
    this.held.push(chunk);
    this.flush();
  }

  end(trailers: IncomingHttpHeaders): void {
    this.trailers = trailers;
    this.flush();
  }

  fail(error: Error): void {
    this.error = error;
    this.flush();
  }

  private flush(): void {
    while (!this.paused && !this.aborted) {
      const chunk = this.held.shift();
      if (chunk === undefined) break;
      this.exchange.onResponseData(this, chunk);
    }
    if (this.paused || this.aborted || this.held.length > 0) return;
    if (this.error !== null) this.exchange.onResponseError(this, this.error);
    else if (this.trailers !== null) this.exchange.onResponseEnd(this, this.trailers);
  }
}
