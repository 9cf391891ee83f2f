/** A request for a WebSocket as a Task: it lives as long as the connection. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { detached, type EventLoop, isCancelled, type Task } from '@aiokit/core';
import { WebSocketServer } from 'ws';
import { WebSocketClosedError } from '../errors.ts';
import { WebSocketConnection } from '../websocket.ts';
import type { AcceptOptions, WebSocketHandler } from './accept-websocket.ts';
import type { FetchHandler } from './app.ts';
import { namesTwoHosts } from './bad-headers.ts';
import { Children } from './children.ts';
import { bindTask, type Ending, inheritRequest, type RequestContext } from './request-context.ts';

export interface UpgradeHost {
  readonly loop: EventLoop;
  readonly handler: FetchHandler;
  begin(task: UpgradeTask): void;
  end(task: UpgradeTask): void;
  background(fn: () => unknown, name: string | undefined): Task<unknown>;
  adopt(task: Task<unknown>): void;
  report(error: unknown, name: string): void;
}

/** The largest message that is accepted, in bytes. */
const MAX_MESSAGE = 2 ** 20;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

const protocols = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE });

export class UpgradeTask implements RequestContext {
  readonly bindings;
  readonly name: string;
  readonly upgrade = { accept: (handler: WebSocketHandler, options: AcceptOptions) => this.accept(handler, options) };
  cancelOnDisconnect = true;
  task: Task<unknown> | null = null;
  private readonly host: UpgradeHost;
  private readonly children = new Children();
  private readonly incoming: IncomingMessage;
  private readonly socket: Duplex;
  private readonly head: Buffer;
  private accepted: { handler: WebSocketHandler; options: AcceptOptions } | null = null;
  private connection: WebSocketConnection | null = null;
  private hasClientBroken = false;
  ending: Ending | null = null;

  constructor(host: UpgradeHost, incoming: IncomingMessage, socket: Duplex, head: Buffer) {
    this.host = host;
    this.incoming = incoming;
    this.socket = socket;
    this.head = head;
    this.name = `GET ${(incoming.url ?? '/').split('?', 1)[0]}`;
    this.bindings = { incoming, outgoing: undefined as never };
    socket.on('error', () => {}); // Its close is what counts.
    socket.on('close', this.onClose);
    // Nobody reads the socket before the handshake: looked at, it tells of a client who leaves.
    socket.on('readable', this.peek);
    socket.on('end', this.hangUp);
  }

  start(): void {
    this.host.begin(this);
    const run = () => {
      this.task = bindTask(this);
      return this.run();
    };
    this.host.loop.createTask(run, { name: this.name, eager: true, onTask: inheritRequest });
  }

  background(fn: () => unknown, name: string | undefined): Task<unknown> {
    return this.host.background(fn, name);
  }

  own(child: Task<unknown>): void {
    this.children.add(child);
  }

  /** The server closes: the peer is told. A handler that does not end by that is cancelled in the end. */
  sayGoodbye(): void {
    this.connection?._sayGoodbye(GOING_AWAY, 'the server is closing').catch(() => {});
  }

  cancel(ending: Ending): void {
    if (this.task === null || this.task.done()) return;
    this.ending ??= ending;
    this.task.cancel(`${this.name}: ${ending}`);
  }

  private accept(handler: WebSocketHandler, options: AcceptOptions): void {
    this.accepted = { handler, options };
  }

  private async run(): Promise<void> {
    try {
      if (namesTwoHosts(this.incoming)) return refuse(this.socket, 400);
      const response = await this.host.handler(toRequest(this.incoming), this.bindings);
      if (this.accepted === null) refuse(this.socket, response.status === 200 ? 400 : response.status);
      else await this.talk(this.accepted.handler, this.accepted.options);
    } catch (error) {
      const isExpected = this.hasClientBroken || (this.ending !== null && isCancelled(error));
      if (!isExpected) this.host.report(error, this.name);
      if (this.connection === null) refuse(this.socket, 500);
    } finally {
      // Nobody's cancel is to reach this: the request is over when it is.
      detached(() => this.endChildren());
    }
  }

  /** A client that breaks off, or the rules of the protocol, is no failure of the handler. One that sends after its own close is. */
  private isOfClient(error: unknown, { _isClosing }: WebSocketConnection): boolean {
    return error instanceof WebSocketClosedError && !_isClosing && error.message.startsWith(`${this.name}: `);
  }

  private async endChildren(): Promise<void> {
    if (!this.children.areDone) await this.children.end(this.name, (task) => this.host.adopt(task));
    this.host.end(this);
  }

  private async talk(handler: WebSocketHandler, options: AcceptOptions): Promise<void> {
    const connection = this.open(options);
    this.connection = connection;
    try {
      await handler(connection);
    } catch (error) {
      this.hasClientBroken = this.isOfClient(error, connection);
      await connection.close(this.ending === null ? INTERNAL_ERROR : GOING_AWAY);
      throw error;
    }
    await connection.close();
  }

  private open(options: AcceptOptions): WebSocketConnection {
    const { incoming, socket, head } = this;
    const offered = (incoming.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    const chosen = options.protocols?.find((name) => offered.includes(name));
    // ws takes the first one offered: it is to be the one that we prefer.
    if (chosen === undefined) delete incoming.headers['sec-websocket-protocol'];
    else incoming.headers['sec-websocket-protocol'] = chosen;
    let connection: WebSocketConnection | null = null;
    socket.off('readable', this.peek);
    socket.off('end', this.hangUp);
    protocols.handleUpgrade(incoming, socket, head, (raw) => {
      connection = new WebSocketConnection(raw, this.name, options);
    });
    if (connection === null) throw new Error(`${this.name}: the WebSocket handshake is not valid`);
    return connection;
  }

  private readonly peek = (): void => {
    if (this.socket.readableLength === 0) this.socket.read();
  };

  private readonly hangUp = (): void => void this.socket.destroy();

  private readonly onClose = (): void => {
    // Who waits for a message is told of the end by its receive(), and who closes waits for the end.
    const isTold = this.connection !== null && (this.connection._isReceiving || this.connection._isClosing);
    if (this.cancelOnDisconnect && !isTold) this.cancel('client left');
  };
}

function toRequest(incoming: IncomingMessage): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const item of Array.isArray(value) ? value : [value ?? '']) headers.append(name, item);
  }
  return new Request(new URL(incoming.url ?? '/', `http://${incoming.headers.host ?? 'localhost'}`), { headers });
}

function refuse(socket: Duplex, status: number): void {
  if (socket.destroyed) return;
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
