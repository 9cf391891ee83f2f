import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttp2Server, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ServeOptions } from './options.ts';
import type { AnyNodeServer } from './server.ts';

/** How often Node looks for clients that are too slow, in ms: its own default of 30 s makes a limit of 10 s one of 40 s. */
const CHECK_INTERVAL = 1_000;
/** In bytes. */
export const HEADER_SIZE = 16 * 1024;

/** How long a client may take for what, in ms. */
export function timesOf({ limits = {} }: ServeOptions) {
  const { receiveTimeout = 300_000, keepAliveTimeout = 5_000 } = limits;
  const { headersTimeout = Math.min(10_000, receiveTimeout) } = limits;
  return { headersTimeout, receiveTimeout, keepAliveTimeout };
}

export function createNodeServer(options: ServeOptions, listener: RequestListener): AnyNodeServer {
  const { tls, http2 = false, limits = {} } = options;
  const { headersTimeout, receiveTimeout, keepAliveTimeout } = timesOf(options);
  const http1 = {
    maxHeaderSize: limits.headerSize ?? HEADER_SIZE,
    headersTimeout,
    requestTimeout: receiveTimeout,
    keepAliveTimeout,
    connectionsCheckingInterval: CHECK_INTERVAL,
  };
  const settings = { maxHeaderListSize: http1.maxHeaderSize };
  const secure = { ...tls, handshakeTimeout: headersTimeout, noDelay: true };
  const server = makeServer();
  if (limits.connections != null) server.maxConnections = limits.connections;
  return Object.assign(server, { maxRequestsPerSocket: limits.requestsPerConnection ?? 0 });

  function makeServer(): AnyNodeServer {
    if (http2 && tls === undefined) return createHttp2Server({ settings }, listener as never);
    if (http2) {
      const both = createSecureServer({ ...secure, settings, allowHTTP1: true }, listener as never);
      // Node 22 takes these as options of its other servers alone.
      return Object.assign(both, http1);
    }
    if (tls === undefined) return createServer({ ...http1, noDelay: true }, listener);
    return createHttpsServer({ ...http1, ...secure }, listener);
  }
}

/** Resolves to the URL (or the path) that it listens on. */
export function listen(server: AnyNodeServer, options: ServeOptions): Promise<string> {
  const { port = 8000, host = '127.0.0.1', socketPath, tls } = options;
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) =>
      reject(socketPath === undefined ? explain(error, `${host}:${port}`, ADDRESS) : explain(error, socketPath, PATH));
    server.once('error', failed);
    const listening = () => {
      server.off('error', failed);
      resolve(socketPath ?? urlOf(server.address() as AddressInfo, tls !== undefined));
    };
    if (socketPath === undefined) server.listen(port, host, listening);
    else server.listen(socketPath, listening);
  });
}

export function urlOf({ address, family, port }: AddressInfo, isSecure: boolean): string {
  // "All addresses" is nowhere that a client could go to.
  const host =
    address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '[::1]' : family === 'IPv6' ? `[${address}]` : address;
  return `${isSecure ? 'https' : 'http'}://${host}:${port}`;
}

type Advice = Readonly<Record<string, string>>;

const ADDRESS: Advice = {
  EADDRINUSE:
    'another program (or an earlier run of this one) listens there. End it, or choose another port; 0 takes a free one',
  EACCES: 'this user may not. Ports below 1024 are for privileged programs on most systems',
  EADDRNOTAVAIL: 'this machine has no such address',
};

const PATH: Advice = {
  EADDRINUSE:
    'another program (or an earlier run of this one) listens there, or it is a file of another kind. End it, or choose another path',
  EACCES: 'this user may not write there, or there is no such directory',
  EINVAL: 'the path is too long for a socket',
};

function explain(error: NodeJS.ErrnoException, where: string, advice: Advice): NodeJS.ErrnoException {
  const why = advice[error.code ?? ''];
  if (why === undefined) return error;
  return Object.assign(new Error(`Cannot listen on ${where}: ${why}`, { cause: error }), { code: error.code });
}
