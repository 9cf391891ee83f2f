import { readFile, writeFile } from 'node:fs/promises';
import { CookieJar as ToughJar } from 'tough-cookie';
import { headerValue } from './headers.ts';

/** A cookie as it is kept. */
export interface StoredCookie {
  readonly name: string;
  readonly value: string;
  readonly domain: string;
  readonly path: string;
}

/**
 * What the servers gave, and which of it goes where (RFC 6265, with the public suffix list). A session has one of its own; one
 * jar may be shared by several. The rules are tough-cookie's.
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#cookiejar
 */
export class CookieJar {
  private jar: ToughJar;
  /** Most sessions never see a cookie: they should not pay for looking. */
  private isEmpty = true;

  constructor() {
    this.jar = new ToughJar();
  }

  /** Takes a cookie, written as a `set-cookie` header, on behalf of a URL. */
  set(cookie: string, url: string | URL): void {
    this.jar.setCookieSync(headerValue('cookie', cookie), String(url));
    this.isEmpty = false;
  }

  /** The value of the `cookie` header for a request to the URL; `''` if there is none. */
  headerFor(url: URL): string {
    return this.isEmpty ? '' : this.jar.getCookieStringSync(url.href);
  }

  /** @internal Takes what a server set; what it may not set is left out. */
  store(url: URL, setCookie: string | readonly string[]): void {
    this.isEmpty = false;
    for (const cookie of [setCookie].flat()) this.jar.setCookieSync(cookie, url.href, { ignoreError: true });
  }

  /** All of them. */
  [Symbol.iterator](): Iterator<StoredCookie> {
    const cookies = this.jar.serializeSync()?.cookies ?? [];
    const text = (value: unknown): string => (typeof value === 'string' ? value : '');
    return cookies
      .map(({ key, value, domain, path }) => ({
        name: text(key),
        value: text(value),
        domain: text(domain),
        path: text(path),
      }))
      .values();
  }

  clear(): void {
    this.jar.removeAllCookiesSync();
    this.isEmpty = true;
  }

  /** Writes all cookies to a file (they may be credentials: it is readable for its owner only). */
  async save(file: string): Promise<void> {
    await writeFile(file, JSON.stringify(this.jar.serializeSync()), { mode: 0o600 });
  }

  /** Reads what `save` wrote, in the place of what the jar holds. */
  async load(file: string): Promise<void> {
    this.jar = ToughJar.deserializeSync(await readFile(file, 'utf8'));
    this.isEmpty = false;
  }
}
