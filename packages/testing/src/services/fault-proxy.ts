import { freePort } from './free-port.ts';
import { type Address, NetworkProxy } from './network-proxy.ts';

export type Direction = 'toServer' | 'toClient';

export interface DirectionOptions {
  /** Both by default. */
  readonly direction?: Direction;
}

/** Where the proxy leads: a URL, a server of this module, a port, a unix socket. */
export type ProxyTarget = string | { readonly host?: string; readonly port: number } | { readonly path: string };

/**
 * What becomes of a PostgreSQL CancelRequest.
 * - `'forward'`: nothing special
 * - `'drop'`: it is lost; its connection closes as if it had been delivered
 * - `'close-first'`: its connection closes before the server gets it, so the client takes it for done too early
 * - an object: it reaches the server `delay` ms later, or when `until` is settled; with `closeFirst`, the client does not wait for that
 */
export type CancelRequestFault =
  | 'forward'
  | 'drop'
  | 'close-first'
  | { readonly delay?: number; readonly until?: Promise<unknown>; readonly closeFirst?: boolean };

export interface FaultProxyOptions {
  /** What becomes of CancelRequests: `'forward'` by default. Can be changed later: `proxy.onCancelRequest`. */
  readonly onCancelRequest?: CancelRequestFault;
  /** The path of a unix socket to listen on, instead of a port; for PostgreSQL `DIRECTORY/.s.PGSQL.PORT`. */
  readonly path?: string;
}

/** A proxy with faults. Each fault holds for the connections of now and later until `restore()`, if nothing else is said. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  /** The port of 127.0.0.1 where it listens; 0 for a unix socket. */
  readonly port: number;
  /** The same URL, through the proxy. */
  url(original: string): string;

  /** Lets each byte leave `ms` milliseconds after it came. */
  delay(ms: number, options?: DirectionOptions): void;
  /** Lets at most so many bytes leave at once. A receiver in another process may still find several such packets together. */
  split(bytes: number, options?: DirectionOptions): void;
  /** Lets nothing leave, until `release()`: what comes in waits, and then leaves in one go. */
  hold(options?: DirectionOptions): void;
  release(options?: DirectionOptions): void;
  /**
   * The connections of now lose their peer without being told: they stay open, whatever comes in is lost, also that one side closes, for good.
   * New connections work.
   */
  halfOpen(): void;
  /** As `halfOpen()`, but one direction still works. `'toServer'`: requests arrive, answers are lost. */
  oneWay(direction: Direction): void;
  /** Ends the connections of now with a TCP reset. New ones work. */
  cut(): void;
  /** Refuses new connections (ECONNREFUSED). Those of now work. */
  refuse(): void;
  /** Ends `delay`, `split`, `hold` and `refuse`. Resolves when it listens. */
  restore(): Promise<void>;
  onCancelRequest: CancelRequestFault;

  /** How many connections it has accepted. */
  readonly connections: number;
  /** How many of them their client has not closed. */
  readonly open: number;
  /** How many of them were CancelRequests (unencrypted). */
  readonly cancelRequests: number;
  /** Bytes that came in and have not left: by `hold()` or `delay()`. */
  readonly waiting: number;

  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}

/**
 * Starts a TCP proxy that can do to a connection what networks do.
 *
 * @param target where it leads
 * @throws {TypeError} when the target is none of these
 * @example
 * await using proxy = await faultProxy(server);
 * const pool = new Pool({ connectionString: proxy.url(server.url) });
 * proxy.oneWay('toServer'); // the statement runs, its answer is lost
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export async function faultProxy(target: ProxyTarget, options: FaultProxyOptions = {}): Promise<FaultProxy> {
  const address = addressOf(target);
  const own = options.path === undefined ? { host: '127.0.0.1', port: await freePort() } : { path: options.path };
  const proxy = new NetworkProxy(address, own, options.onCancelRequest ?? 'forward');
  await proxy.listen();
  return proxy;
}

function addressOf(target: ProxyTarget): Address {
  if (typeof target === 'string' && URL.canParse(target)) {
    const { protocol, hostname, port } = new URL(target);
    const known = DEFAULT_PORTS[protocol];
    if (hostname !== '' && (port !== '' || known !== undefined))
      return { host: hostname, port: Number(port) || (known as number) };
  } else if (typeof target === 'object') {
    if ('path' in target) return { path: target.path };
    if (Number.isInteger(target.port)) return { host: target.host ?? '127.0.0.1', port: target.port };
  }
  throw new TypeError(
    `target must be a URL with a host, { host, port } or { path }, received ${JSON.stringify(target)}.`,
  );
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  'postgres:': 5432,
  'postgresql:': 5432,
  'redis:': 6379,
  'rediss:': 6379,
  'http:': 80,
  'https:': 443,
};
