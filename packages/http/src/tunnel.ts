import { request as requestOverTcp } from 'node:http';
import { type RequestOptions, request as requestOverTls } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { buildConnector } from 'undici';
import type { Attempt } from './connecting.ts';
import { connectionToProxy, type HttpProxy, proxyFailed, unbracketed } from './proxy.ts';

/** Makes a connection, or TLS over one that there is (`httpSocket`). */
export type Connect = (target: buildConnector.Options, callback: buildConnector.Callback) => Attempt;

/**
 * A connection to a target through a proxy (CONNECT), and TLS with the target over it.
 *
 * undici's ProxyAgent has dispatchers of its own, and no socket to destroy until the tunnel is there. This is a way to
 * connect, like any other one: what a session does about connections holds for those through a proxy, too.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-connect
 */
export class Tunnel implements Attempt {
  /** The question to the proxy; then what goes on in the tunnel. */
  private step: Attempt;

  /**
   * @param options of the session's connections: what is true of the proxy, too, is used for it.
   * @param connect for TLS with the target.
   */
  constructor(
    proxy: HttpProxy,
    options: buildConnector.BuildOptions,
    target: buildConnector.Options,
    connect: Connect,
    callback: buildConnector.Callback,
  ) {
    const { protocol, hostname, host = hostname, port } = target;
    const isSecure = protocol === 'https:';
    const authority = port ? host : `${host}:${isSecure ? 443 : 80}`;
    const request = proxy.url.protocol === 'https:' ? requestOverTls : requestOverTcp;
    const question = request({ ...wayTo(proxy, options), path: authority, headers: headersFor(proxy, authority) });
    question.on('error', (error) => callback(proxyFailed(proxy, error), null));
    question.on('connect', ({ statusCode = 0, statusMessage }, socket: Socket, head) => {
      socket.on('error', () => {}); // It shows in what goes through the tunnel.
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy();
        return callback(new Error(refusal(proxy, authority, statusCode, statusMessage)), null);
      }
      if (head.length > 0) socket.unshift(head);
      socket.setNoDelay(true);
      this.step = socket;
      if (isSecure) this.step = connect({ ...target, httpSocket: socket }, callback);
      else callback(null, socket);
    });
    question.end();
    this.step = question;
  }

  destroy(reason: Error): void {
    this.step.destroy(reason);
  }
}

function wayTo({ url }: HttpProxy, options: buildConnector.BuildOptions): RequestOptions {
  const host = unbracketed(url.hostname);
  return {
    ...connectionToProxy(options),
    host,
    port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
    method: 'CONNECT',
    // Not that of the Host header, which is the target's.
    servername: isIP(host) === 0 ? host : '',
    agent: false,
  };
}

function headersFor({ authorization }: HttpProxy, authority: string): Record<string, string> {
  const headers = { host: authority, connection: 'keep-alive' };
  return authorization === null ? headers : { ...headers, 'proxy-authorization': authorization };
}

function refusal({ url }: HttpProxy, authority: string, status: number, text = ''): string {
  const hint = status === 407 ? '. Its credentials go into its URL: http://user:password@host:port' : '';
  return `the proxy ${url.host} answered CONNECT ${authority} with ${status} ${text}`.trimEnd() + hint;
}
