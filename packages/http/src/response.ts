import type { IncomingHttpHeaders } from 'node:http';
import { charsetOf, decode } from './charset.ts';
import { ClientResponseError } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { headerOf, toHeaders } from './headers.ts';
import type { IncomingBody } from './incoming-body.ts';
import { linesOf } from './lines.ts';
import { type StandardSchema, validated } from './schema.ts';
import { eventsIn, type ServerSentEvent } from './server-sent-events.ts';

/** A response that led to this one. */
export interface Redirection {
  readonly status: number;
  readonly url: string;
}

/**
 * The answer to a request of a {@link ClientSession}: status and headers are there, the body is still coming.
 *
 * Read it once, in one of the ways below (what `bytes`, `text` and `json` have read is kept, so they may follow each other).
 * A response that is not read to its end holds a connection: `await using` gives it back at the end of the block, and at the
 * latest it is given back when the task that made the request ends.
 *
 * A cancel while the body is being read destroys the connection at once.
 *
 * @example
 * ```ts
 * await using response = await session.get('/big.csv');
 * for await (const line of response.lines()) if (line.startsWith('total')) break;
 * ```
 *
 * @see https://docs.aiohttp.org/en/stable/client_reference.html#response-object
 */
export class ClientResponse implements AsyncDisposable, AsyncIterable<Uint8Array> {
  readonly method: string;
  /** The URL that answered, after redirects. */
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  /** The redirects that led here, the first one first. */
  readonly history: readonly Redirection[];
  private readonly exchange: Exchange;
  private readonly incoming: IncomingBody;
  private content: Buffer | null = null;
  private lazyHeaders: Headers | null = null;

  /** @internal */
  constructor(exchange: Exchange, method: string, url: string, history: readonly Redirection[]) {
    this.method = method;
    this.url = url;
    this.status = exchange.status;
    this.statusText = exchange.statusText;
    this.history = history;
    this.exchange = exchange;
    this.incoming = exchange.body as IncomingBody;
  }

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  get headers(): Headers {
    this.lazyHeaders ??= toHeaders(this.exchange.headers);
    return this.lazyHeaders;
  }

  /** The headers as node:http shows them: lower-case names, an array where a name came more than once. */
  get rawHeaders(): IncomingHttpHeaders {
    return this.exchange.headers;
  }

  /** What came after the body; complete once the body has been read. (undici 7 loses those of HTTP/2.) */
  get trailers(): IncomingHttpHeaders {
    return this.exchange.trailers;
  }

  /** The media type, without parameters and in lower case; `''` if the server did not say. */
  get contentType(): string {
    return (this.typeHeader ?? '').split(/[;,]/, 1)[0]!.trim().toLowerCase();
  }

  /** The body in pieces as they arrive. Leaving the loop early releases the connection. */
  get body(): AsyncIterable<Uint8Array> {
    return this;
  }

  /** The next piece of the body; `null` at its end. */
  read(): Promise<Uint8Array | null> {
    return this.incoming.read();
  }

  /** The whole body. */
  async bytes(): Promise<Buffer> {
    this.content ??= await this.incoming.readAll();
    return this.content;
  }

  /** The whole body as text, in the charset that `content-type` names (UTF-8 by default). */
  async text(): Promise<string> {
    this.content ??= await this.incoming.readAll();
    return decode(this.content, this.typeHeader);
  }

  /**
   * The whole body, parsed as JSON, and validated if there is a schema.
   *
   * @param schema any Standard Schema: zod, valibot, arktype, …
   * @throws `SyntaxError` if it is not JSON; {@link ClientSchemaError} if it is not what the schema says.
   */
  json<T = unknown>(): Promise<T>;
  json<T>(schema: StandardSchema<T>): Promise<T>;
  async json<T>(schema?: StandardSchema<T>): Promise<T> {
    this.content ??= await this.incoming.readAll();
    const value = this.parse(decode(this.content, undefined));
    return schema === undefined ? (value as T) : validated(schema, value, this.exchange.label);
  }

  /** The body line by line, without the line ends. Leaving the loop early releases the connection. */
  lines(): AsyncGenerator<string, void, undefined> {
    return linesOf(this, charsetOf(this.typeHeader));
  }

  /** The body as server-sent events. Leaving the loop early releases the connection. */
  events(): AsyncGenerator<ServerSentEvent, void, undefined> {
    return eventsIn(this);
  }

  /**
   * @throws {@link ClientResponseError} if the status is 400 or more; the connection is released then.
   */
  raiseForStatus(): this {
    if (this.status < 400) return this;
    this.release();
    throw new ClientResponseError(this);
  }

  /** Gives the connection back: a short rest is read to nowhere, a long one is cut with its connection. */
  release(): void {
    this.incoming.release(this.exchange.remaining);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let chunk = await this.incoming.read(); chunk !== null; chunk = await this.incoming.read()) yield chunk;
    } finally {
      this.release();
    }
  }

  private get typeHeader(): string | undefined {
    return headerOf(this.exchange.headers, 'content-type');
  }

  private parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      const got = text.length > 60 ? `${text.slice(0, 57)}...` : text;
      throw new SyntaxError(
        `${this.exchange.label}: the answer (${this.status}, ${this.contentType || 'no content-type'}) is not JSON: ${JSON.stringify(got)}`,
        { cause: error },
      );
    }
  }
}
