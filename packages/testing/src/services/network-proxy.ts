import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { delay } from '../real-time.ts';
import { beginningOf, HEADER } from './cancel-request.ts';
import { FaultLane, type LaneFaults, reset } from './fault-lane.ts';
import type { CancelRequestFault, Direction, DirectionOptions, FaultProxy } from './fault-proxy.ts';

/** Where a socket listens. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

interface Connection {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly toServer: FaultLane;
  readonly toClient: FaultLane;
}

const NO_FAULTS: Readonly<LaneFaults> = { delay: 0, split: Number.POSITIVE_INFINITY, held: false };

/** The one implementation of FaultProxy. */
export class NetworkProxy implements FaultProxy {
  readonly host = '127.0.0.1';
  onCancelRequest: CancelRequestFault;
  readonly #target: Address;
  readonly #own: Address;
  readonly #faults: Record<Direction, LaneFaults> = { toServer: { ...NO_FAULTS }, toClient: { ...NO_FAULTS } };
  readonly #live = new Set<Connection>();
  #listener: Server | undefined;
  #connections = 0;
  #open = 0;
  #cancelRequests = 0;

  constructor(target: Address, own: Address, onCancelRequest: CancelRequestFault) {
    this.#target = target;
    this.#own = own;
    this.onCancelRequest = onCancelRequest;
  }

  get port(): number {
    return 'port' in this.#own ? this.#own.port : 0;
  }

  get connections(): number {
    return this.#connections;
  }

  get open(): number {
    return this.#open;
  }

  get cancelRequests(): number {
    return this.#cancelRequests;
  }

  get waiting(): number {
    return [...this.#live].reduce((sum, { toServer, toClient }) => sum + toServer.waiting + toClient.waiting, 0);
  }

  url(original: string): string {
    if (this.port === 0) throw new Error('url(): a proxy on a unix socket has no URL; give its directory as the host.');
    const changed = new URL(original);
    changed.hostname = this.host;
    changed.port = String(this.port);
    return changed.href;
  }

  delay(ms: number, options?: DirectionOptions): void {
    if (!(ms >= 0)) throw new RangeError(`ms must be a number of milliseconds from 0 on, received ${ms}.`);
    this.#change({ delay: ms }, options);
  }

  split(bytes: number, options?: DirectionOptions): void {
    if (!(bytes >= 1)) throw new RangeError(`bytes must be a number from 1 on, received ${bytes}.`);
    this.#change({ split: Math.floor(bytes) }, options);
  }

  hold(options?: DirectionOptions): void {
    this.#change({ held: true }, options);
  }

  release(options?: DirectionOptions): void {
    this.#change({ held: false }, options);
  }

  halfOpen(): void {
    for (const { toServer, toClient } of this.#live) {
      toServer.drop();
      toClient.drop();
    }
  }

  oneWay(direction: Direction): void {
    for (const { toServer, toClient } of this.#live) (direction === 'toServer' ? toClient : toServer).drop();
  }

  cut(): void {
    for (const { client, upstream } of this.#live) {
      reset(client);
      reset(upstream);
    }
  }

  refuse(): void {
    this.#listener?.close(); // it listens no more at once; nobody waits until its connections have ended
    this.#listener = undefined;
  }

  async restore(): Promise<void> {
    this.#change(NO_FAULTS);
    if (!this.#listener) await this.listen();
  }

  async listen(): Promise<void> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#listener = listener;
    await once(listener.listen(this.#own), 'listening');
    listener.unref(); // a proxy that the test forgot is no reason to stay
  }

  async close(): Promise<void> {
    this.refuse();
    await Promise.all([...this.#live].flatMap(({ client, upstream }) => [closed(client), closed(upstream)]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #change(faults: Partial<LaneFaults>, { direction }: DirectionOptions = {}): void {
    for (const each of direction === undefined ? (['toServer', 'toClient'] as const) : [direction]) {
      Object.assign(this.#faults[each], faults);
      for (const connection of this.#live) connection[each].wake();
    }
  }

  #accept(client: Socket): void {
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const toServer = new FaultLane(client, upstream, this.#faults.toServer);
    const toClient = new FaultLane(upstream, client, this.#faults.toClient);
    const connection = { client, upstream, toServer, toClient };
    this.#live.add(connection);
    for (const socket of [client, upstream]) {
      socket.unref();
      socket.once('close', () => {
        if (client.closed && upstream.closed) this.#live.delete(connection);
      });
    }
    this.#count(client);
    this.#receive(connection);
    client.on('error', () => toServer.push('reset'));
    upstream.on('data', (bytes) => toClient.push(bytes));
    upstream.on('end', () => toClient.push('end'));
    upstream.on('error', () => toClient.push('reset')); // also where the server could not be reached
  }

  #count(client: Socket): void {
    this.#connections += 1;
    this.#open += 1;
    let open = true;
    const left = () => {
      if (open) this.#open -= 1;
      open = false;
    };
    client.once('end', left);
    client.once('close', left);
  }

  #receive(connection: Connection): void {
    const { client, toServer } = connection;
    let beginning: Buffer | undefined = Buffer.alloc(0);
    client.on('data', (bytes) => {
      if (beginning === undefined) toServer.push(bytes);
      else beginning = this.#begin(connection, Buffer.concat([beginning, bytes]));
    });
    client.on('end', () => {
      if (beginning?.length) toServer.push(beginning);
      toServer.push('end');
    });
  }

  /** Passes the first bytes of a connection on. Returns those of which it cannot tell yet what they are; undefined when that is decided. */
  #begin(connection: Connection, bytes: Buffer): Buffer | undefined {
    const kind = beginningOf(bytes);
    if (kind === 'incomplete') return bytes;
    if (kind === 'negotiation') {
      connection.toServer.push(bytes.subarray(0, HEADER));
      return this.#begin(connection, bytes.subarray(HEADER));
    }
    if (kind === 'cancel') this.#cancelRequests += 1;
    if (kind === 'cancel' && this.onCancelRequest !== 'forward') void cancel(connection, bytes, this.onCancelRequest);
    else connection.toServer.push(bytes);
    return undefined;
  }
}

/** Brings a CancelRequest to the server, or not, beside the lanes: what its client does meanwhile does not matter. */
async function cancel(connection: Connection, request: Buffer, fault: CancelRequestFault): Promise<void> {
  const { client, upstream, toServer, toClient } = connection;
  toServer.drop();
  if (fault === 'drop') {
    client.end();
    upstream.destroy();
    return;
  }
  const { delay: ms = 0, until, closeFirst = fault === 'close-first' } = typeof fault === 'object' ? fault : {};
  if (closeFirst) {
    toClient.drop();
    client.end();
    await closing(client);
  }
  await Promise.allSettled([until, delay(ms, { keepsProcess: false })]);
  upstream.end(request);
}

async function closed(socket: Socket): Promise<void> {
  socket.destroy();
  await closing(socket);
}

function closing(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}
