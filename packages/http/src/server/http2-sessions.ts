/** The sessions of HTTP/2, and the limits that Node has for HTTP/1.1 alone. */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { LONGEST_TIMER } from './check-options.ts';
import { bytesTaken } from './slow-readers.ts';

export interface SessionLimits {
  /** All in ms. */
  readonly headersTimeout: number;
  readonly receiveTimeout: number;
  readonly keepAliveTimeout: number;
  readonly requestsPerConnection: number;
}

/** A session that does not close when it is told to is destroyed so many ms later. */
const CLOSE_GRACE = 1_000;

export class Http2Sessions {
  private readonly sessions = new Map<ServerHttp2Session, Session>();
  private readonly limits: SessionLimits;

  constructor(limits: SessionLimits) {
    this.limits = limits;
  }

  follow(session: ServerHttp2Session): void {
    this.sessions.set(session, new Session(session, this.limits));
    session.on('close', () => this.sessions.delete(session));
  }

  /** Lets the streams under way end, and takes no new ones. */
  close(): void {
    for (const session of this.sessions.keys()) session.close();
  }

  destroy(): void {
    for (const session of this.sessions.keys()) session.destroy();
  }

  /** To be called now and then: ends those that have taken nothing since the last call of what is ready for them. */
  cutSlowReaders(): void {
    for (const session of this.sessions.values()) session.cutIfSlow();
  }
}

class Session {
  private readonly session: ServerHttp2Session;
  private readonly limits: SessionLimits;
  private readonly streams = new Set<ServerHttp2Stream>();
  private total = 0;
  private taken = 0;
  /** Runs while there is no request. What else comes (a ping, half a header) does not count. */
  private idle: NodeJS.Timeout;

  constructor(session: ServerHttp2Session, limits: SessionLimits) {
    this.session = session;
    this.limits = limits;
    this.idle = this.closeAfter(limits.headersTimeout);
    session.on('stream', (stream) => this.begin(stream));
    session.on('close', () => clearTimeout(this.idle));
  }

  cutIfSlow(): void {
    if (this.session.destroyed) return;
    const taken = bytesTaken(this.session.socket);
    // A client that opens no window leaves it in the stream, and nothing in the socket.
    const isWaiting = [...this.streams].some((stream) => stream.writableLength > 0);
    if (isWaiting && taken === this.taken) this.session.destroy();
    this.taken = taken;
  }

  private begin(stream: ServerHttp2Stream): void {
    clearTimeout(this.idle);
    this.streams.add(stream);
    const late = stream.endAfterHeaders ? undefined : this.endIfIncomplete(stream);
    stream.on('close', () => {
      clearTimeout(late);
      this.streams.delete(stream);
      if (this.streams.size === 0) this.idle = this.closeAfter(this.limits.keepAliveTimeout);
    });
    if (++this.total === this.limits.requestsPerConnection) this.session.close();
  }

  private endIfIncomplete(stream: ServerHttp2Stream): NodeJS.Timeout {
    const end = () => {
      if (stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_CANCEL);
    };
    return setTimeout(end, Math.min(this.limits.receiveTimeout, LONGEST_TIMER)).unref();
  }

  private closeAfter(ms: number): NodeJS.Timeout {
    const close = () => {
      this.session.close();
      this.idle = setTimeout(() => this.session.destroy(), CLOSE_GRACE).unref();
    };
    return setTimeout(close, Math.min(ms, LONGEST_TIMER)).unref();
  }
}
