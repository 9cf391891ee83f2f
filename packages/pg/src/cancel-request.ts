/**
 * Sends a CancelRequest: 16 bytes on a connection of its own, which the server then closes without an answer.
 *
 * It must go to the very server that runs the statement: the address the connection really has (a name may lead to another
 * host by now), through the same TLS. pg's own `Connection` does the negotiation.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls';
import type { Client } from './client.ts';
import { PgConnection, type WireConnection } from './pg-internals.ts';

export interface CancelRequestHandlers {
  /** Asked right before the bytes are written. False: the request is not sent. */
  mayWrite(): boolean;
  written(): void;
  /** The second connection is closed, or never came to be. `byError`: it broke, and the close is not the server's. */
  closed(byError: boolean): void;
}

/** Whether there is somebody to send it to, and a key to send. Some proxies give out none. */
export function canRequestCancel(client: Client): boolean {
  return Boolean(client.processID) && client.secretKey !== null && addressOf(client) !== null;
}

/** Starts to send it. Returns what ends the attempt. */
export function requestCancel(client: Client, handlers: CancelRequestHandlers): () => void {
  const address = addressOf(client);
  if (address === null) throw new Error('This connection has no address that a CancelRequest could be sent to');
  const side = new PgConnection({ ssl: sslOf(client), sslNegotiation: client.sslNegotiation });
  const send = () => {
    if (!handlers.mayWrite()) return void side.stream.destroy();
    side.cancel(client.processID as number, client.secretKey as number);
    handlers.written();
  };
  side.on('connect', () => {
    if (!client.ssl) send();
    else if (client.sslNegotiation !== 'direct') side.requestSsl();
  });
  side.on('sslconnect', () => secure(side, send));
  let broke = false;
  side.on('error', () => {
    broke = true;
    side.stream.destroy();
  });
  side.once('end', () => handlers.closed(broke));
  if ('path' in address) side.connect(address.path);
  else side.connect(address.port, address.host);
  return () => void side.stream.destroy();
}

/** pg says 'sslconnect' before the handshake; what is written then waits for it. We ask again as late as we can. */
function secure(side: WireConnection, send: () => void): void {
  side.stream.once('secureConnect', send);
}

type Address = { path: string } | { host: string; port: number };

function addressOf(client: Client): Address | null {
  if (client.host?.startsWith('/')) return { path: `${client.host}/.s.PGSQL.${client.port}` };
  const { remoteAddress, remotePort } = client.connection.stream;
  return remoteAddress === undefined || remotePort === undefined ? null : { host: remoteAddress, port: remotePort };
}

/** The same certificate is expected as for the first connection: that of the host's name, not of its address. */
function sslOf(client: Client): ConnectionOptions | false {
  if (!client.ssl) return false;
  const ssl = typeof client.ssl === 'object' ? client.ssl : {};
  return {
    ...ssl,
    host: client.host,
    ...(isIP(client.host) === 0 ? { servername: client.host } : {}),
    secureContext: secureContextOf(client, ssl),
  };
}

/**
 * Made once per connection: to make one out of the same files costs half as much as the handshake. (pg's own is closed after
 * one use.) Files that are no longer valid are an error of the second connection: pg meets it again, and tells.
 */
function secureContextOf(client: Client, ssl: ConnectionOptions): SecureContext | undefined {
  const made = secureContexts.get(client) ?? ssl.secureContext;
  if (made !== undefined) return made;
  try {
    const context = createSecureContext(ssl);
    secureContexts.set(client, context);
    return context;
  } catch {
    return undefined;
  }
}

const secureContexts = new WeakMap<Client, SecureContext>();
