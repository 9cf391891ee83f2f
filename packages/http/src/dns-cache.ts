/**
 * Keeps what was looked up for a while, and looks a name up once for all who ask meanwhile: getaddrinfo has four threads.
 *
 * It is a `lookup` for net.connect instead of undici's `dns` interceptor: that one resolves before there is anything that a
 * cancel could end, and connects to addresses, with Host and the name for TLS put back by hand.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';

type Answer = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

interface Entry {
  readonly hostname: string;
  /** `null` while it is being looked up. */
  addresses: LookupAddress[] | null;
  until: number;
  readonly waiting: Answer[];
}

export class DnsCache {
  private readonly ttl: number;
  private readonly resolve: LookupFunction;
  private readonly entries = new Map<string, Entry>();

  /** @param ttl in ms. */
  constructor(ttl: number, resolve: LookupFunction = lookup as LookupFunction) {
    this.ttl = ttl;
    this.resolve = resolve;
  }

  /** As `dns.lookup`. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    if (isIP(hostname) !== 0) return this.resolve(hostname, options, callback);
    this.find(hostname, options, (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined) callback(error ?? notFound(hostname), []);
      else if (options.all) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
  };

  /** Its addresses did not do: the next one looks again. */
  forget(hostname: string): void {
    for (const [key, entry] of this.entries)
      if (entry.hostname === hostname && entry.addresses !== null) this.entries.delete(key);
  }

  private find(hostname: string, options: Parameters<LookupFunction>[1], answer: Answer): void {
    const key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0}`;
    const known = this.entries.get(key);
    if (known?.addresses === null) return void known.waiting.push(answer);
    if (known !== undefined && performance.now() < known.until) {
      const { addresses } = known;
      return process.nextTick(() => answer(null, addresses));
    }
    const entry: Entry = { hostname, addresses: null, until: 0, waiting: [answer] };
    this.entries.set(key, entry);
    this.resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error === null && Array.isArray(addresses) && addresses.length > 0) {
        entry.addresses = addresses;
        entry.until = performance.now() + this.ttl;
      } else {
        this.entries.delete(key);
      }
      for (const waiting of entry.waiting) waiting(error, entry.addresses ?? []);
    });
  }
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND', hostname });
}
