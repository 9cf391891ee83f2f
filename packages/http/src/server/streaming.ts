/** Answers that are made while they are sent. */

export interface StreamOptions extends ResponseInit {
  /** Default: `text/plain; charset=utf-8`. */
  contentType?: string | undefined;
}

/**
 * A response whose body is pulled from an async iterable, in the request's task: a client who reads slowly slows the source,
 * one who leaves cancels it.
 *
 * @example
 * ```ts
 * app.get('/count', () =>
 *   streamed(async function* () {
 *     for (let i = 0; i < 10; i++) {
 *       await sleep(100);
 *       yield `${i}\n`;
 *     }
 *   }),
 * );
 * ```
 */
export function streamed(
  source: AsyncIterable<string | Uint8Array> | (() => AsyncIterable<string | Uint8Array>),
  { contentType = 'text/plain; charset=utf-8', ...init }: StreamOptions = {},
): Response {
  const headers = new Headers(init.headers);
  if (!headers.has('content-type')) headers.set('content-type', contentType);
  const iterable = typeof source === 'function' ? source() : source;
  return new Response(toStream(iterable), { ...init, headers });
}

/** One server-sent event. What is neither a string nor such an object is sent as JSON. */
export interface EventMessage {
  readonly data: unknown;
  readonly event?: string | undefined;
  readonly id?: string | undefined;
  /** How long the client should wait before it connects again, in ms. */
  readonly retry?: number | undefined;
}

/**
 * A `text/event-stream` response of an async iterable: strings, {@link EventMessage}s made by `message(…)`, or anything that
 * JSON can express.
 *
 * @example
 * ```ts
 * app.get('/ticks', () =>
 *   eventStream(async function* () {
 *     for (let tick = 0; ; tick++) {
 *       yield message({ data: { tick }, id: String(tick) });
 *       await sleep(1_000);
 *     }
 *   }),
 * );
 * ```
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function eventStream(
  source: AsyncIterable<unknown> | (() => AsyncIterable<unknown>),
  init: ResponseInit = {},
): Response {
  const headers = new Headers(init.headers);
  headers.set('cache-control', 'no-cache');
  // nginx would hold events back until its buffer is full.
  headers.set('x-accel-buffering', 'no');
  const iterable = typeof source === 'function' ? source() : source;
  return streamed(encodeEvents(iterable), { ...init, headers, contentType: 'text/event-stream' });
}

/** An event with a name, an id or a retry time, for {@link eventStream}. */
export function message(event: EventMessage): EventMessage {
  messages.add(event);
  return event;
}

/** So that a user's object that happens to have `data` is sent whole. */
const messages = new WeakSet<object>();

async function* encodeEvents(source: AsyncIterable<unknown>): AsyncGenerator<string, void, undefined> {
  for await (const item of source) {
    const isMessage = typeof item === 'object' && item !== null && messages.has(item);
    yield encodeEvent(isMessage ? (item as EventMessage) : { data: item });
  }
}

function encodeEvent({ data, event, id, retry }: EventMessage): string {
  let text = '';
  if (event !== undefined) text += `event: ${oneLine(event)}\n`;
  if (id !== undefined) text += `id: ${oneLine(id)}\n`;
  if (retry !== undefined) text += `retry: ${Math.round(retry)}\n`;
  const body = typeof data === 'string' ? data : JSON.stringify(data);
  for (const line of body.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  return `${text}\n`;
}

/** A name or id with a line end would become an event of its own. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}

function toStream(source: AsyncIterable<string | Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      // Called within read(): in the context of the task that sends.
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
