import type { SecureContextOptions } from 'node:tls';

/** A value for all requests, or a function that says it for each. */
type PerRequest<T> = T | ((request: Request) => T);

export interface ServeOptions {
  /** Default: 8000. 0 takes a free one: see {@link Server.url}. */
  port?: number | undefined;
  /** Default: 127.0.0.1, this machine only. '0.0.0.0' or '::' listen on all of its addresses. */
  host?: string | undefined;
  /** A path of a Unix domain socket to listen on instead. One that a killed program has left there is taken over. */
  socketPath?: string | undefined;
  /** Key and certificate: then it speaks TLS. */
  tls?: SecureContextOptions | undefined;
  /** HTTP/2 beside HTTP/1.1, as the client negotiates with TLS; without TLS, HTTP/2 alone. Default: false. */
  http2?: boolean | undefined;

  /** Whether a client who leaves cancels the request's task. Default: for GET and HEAD. */
  cancelOnDisconnect?: PerRequest<boolean> | undefined;
  /** How long a handler may take until its response is there, in ms; then it is cancelled and the client gets 504. Default: no limit. */
  requestTimeout?: PerRequest<number | null> | undefined;
  /** The name of a header in which clients say how many ms they will wait: a request is then limited to that. Default: none. */
  deadlineHeader?: string | undefined;

  /** How long `close()` lets requests end by themselves, in ms, before it cancels them. Default: 30,000. */
  gracefulTimeout?: number | undefined;
  /** How long cancelled requests may clean up, in ms, before their connections are destroyed. Default: 5,000. */
  cancelTimeout?: number | undefined;
  /** How long the server goes on accepting after `close()`, in ms, with `closing` true for health checks to see. Default: 0. */
  drainDelay?: number | undefined;
  /**
   * Whether SIGTERM and SIGINT close the server and then end the process. Default: outside of `run()`, which sees to them itself:
   * a program that has more to close than the server belongs into it.
   */
  handleSignals?: boolean | undefined;

  limits?: ServerLimits | undefined;
  /** Told of what handlers throw. Default: it is printed to stderr with the request's name. */
  onError?: ((error: unknown, request: string) => void) | undefined;
  /** Whether hono's adapter may put its lightweight Request and Response in the place of the global ones: much faster. Default: true. */
  overrideGlobalObjects?: boolean | undefined;
}

export interface WorkersOptions extends ServeOptions {
  /** How many processes serve, each running this same program; 1 is this one alone. */
  workers: number;
  /** Told in one line of each worker that starts, ends or is replaced. Default: it is printed to stderr with the time. */
  log?: ((line: string) => void) | undefined;
}

/** Against clients that are broken, slow or hostile. `null` for no limit. */
export interface ServerLimits {
  /** Bytes of a request's headers. Default: 16 KiB. Beyond: 431. */
  headerSize?: number | undefined;
  /** Bytes of a request's body. Default: 100 MiB. Beyond: 413. */
  bodySize?: number | null | undefined;
  /** How long a client may take to send the headers, in ms. Default: 10,000. Beyond: 408; with HTTP/2, and for the handshake of TLS, the connection is closed. */
  headersTimeout?: number | undefined;
  /** How long a client may take to send a whole request, in ms. Default: 300,000. Beyond: 408; with HTTP/2 the stream is reset. */
  receiveTimeout?: number | undefined;
  /** How long a client may take nothing of the answer that is ready for it, in ms (it is looked at this often). Default: 60,000. */
  sendTimeout?: number | null | undefined;
  /** How long a connection without a request is kept, in ms. Default: 5,000. */
  keepAliveTimeout?: number | undefined;
  /** How many connections at once. Default: no limit. */
  connections?: number | null | undefined;
  /** How many requests on one connection. Default: no limit. */
  requestsPerConnection?: number | null | undefined;
}
