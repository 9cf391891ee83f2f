import type { TcpNetConnectOpts } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { buildConnector } from 'undici';
import { describe } from './errors.ts';
import { decoded } from './request.ts';

/** Which proxy leads to a target; `null` for none. */
export type ProxyFor = (target: ProxyTarget) => HttpProxy | null;

type ProxyTarget = Pick<buildConnector.Options, 'protocol' | 'hostname' | 'port'>;

/** `'environment'` is HTTP_PROXY, HTTPS_PROXY (else HTTP_PROXY) and NO_PROXY, in lower case first, as they are at the call. */
export function proxiesFor(given: string | URL | undefined): ProxyFor {
  if (given === undefined) return () => null;
  if (given !== 'environment') {
    const proxy = new HttpProxy(given, 'proxy');
    return () => proxy;
  }
  const plain = fromEnvironment('http_proxy');
  const secure = fromEnvironment('https_proxy') ?? plain;
  const isExempt = exemptions(variable('no_proxy') ?? '');
  return (target) => (isExempt(target) ? null : target.protocol === 'https:' ? secure : plain);
}

function fromEnvironment(name: string): HttpProxy | null {
  const value = variable(name);
  if (value === undefined) return null;
  // As curl does: a host and port alone are meant for HTTP.
  return new HttpProxy(value.includes('://') ? value : `http://${value}`, name.toUpperCase());
}

function variable(name: string): string | undefined {
  return process.env[name] || process.env[name.toUpperCase()] || undefined;
}

const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };

/** NO_PROXY: `example.com` (or `.example.com`, `*.example.com`) and what is below it, on all ports or on one (`:8080`); `*` is all. */
function exemptions(list: string): (target: ProxyTarget) => boolean {
  const entries = list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  return ({ hostname, port, protocol }) => {
    const host = unbracketed(hostname.toLowerCase());
    return entries.some((entry) => {
      if (entry === '*') return true;
      const [, name = entry, only] = /^(\[.*\]|[^:]+):(\d+)$/.exec(entry) ?? [];
      if (only !== undefined && only !== (port || DEFAULT_PORTS[protocol])) return false;
      const plain = unbracketed(name.replace(/^\*?\./, ''));
      return host === plain || host.endsWith(`.${plain}`);
    });
  };
}

export function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/** A proxy that answers requests in absolute form, and makes tunnels to where it is asked to. */
export class HttpProxy {
  readonly url: URL;
  /** The value of `proxy-authorization`; `null` for none. */
  readonly authorization: string | null;

  constructor(given: string | URL, name: string) {
    const text = String(given);
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
      const shown = JSON.stringify(text.replace(/[^/]*@/, '…@'));
      throw new TypeError(`${name} must be an http: or https: URL (or 'environment'), got ${shown}`);
    }
    this.url = new URL(text);
    const { username, password } = this.url;
    const credentials = `${decoded(username)}:${decoded(password)}`;
    this.authorization = username === '' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
}

type ConnectionToProxy = Pick<TlsOptions & TcpNetConnectOpts, 'lookup' | 'localAddress' | 'family' | 'ca'>;

/** What is true of a session's connections to its targets, and of those to their proxy, too. */
export function connectionToProxy(options: buildConnector.BuildOptions): ConnectionToProxy {
  const { lookup, localAddress, family, ca } = options as ConnectionToProxy;
  const defined = Object.entries({ lookup, localAddress, family, ca }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined);
}

export function proxyFailed({ url }: HttpProxy, error: Error): Error {
  return new Error(`no connection to the proxy ${url.host}: ${describe(error)}`, { cause: error });
}
