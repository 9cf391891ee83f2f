import { createParser } from 'eventsource-parser';
import { ClientError } from './errors.ts';

/** One event of a `text/event-stream`. */
export interface ServerSentEvent {
  /** What kind of event; `'message'` if the server named none. */
  readonly event: string;
  readonly data: string;
  /** The last id the server gave, with this event or before; `''` if none. */
  readonly id: string;
}

export function isEventStream(contentType: unknown): boolean {
  return /^text\/event-stream\b/i.test(String(contentType));
}

/** What one stream leaves to the next one, when its connection has broken. */
export interface EventStreamState {
  lastId: string;
  /** How long the server asks to wait before a reconnect, in ms. */
  delay: number;
}

/**
 * Parses a stream of bytes as server-sent events.
 *
 * @param maxSize of an event, in characters.
 * @throws {@link ClientError} for a larger one.
 */
export async function* eventsIn(
  bytes: AsyncIterable<Uint8Array>,
  state: EventStreamState = { lastId: '', delay: 0 },
  maxSize = Infinity,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder();
  const ready: ServerSentEvent[] = [];
  let isTooLarge = false;
  const parser = createParser({
    maxBufferSize: maxSize,
    onId(id) {
      state.lastId = id;
    },
    onRetry(ms) {
      state.delay = ms;
    },
    onEvent({ event = 'message', data }) {
      ready.push({ event, data, id: state.lastId });
    },
    onError({ type }) {
      isTooLarge ||= type === 'max-buffer-size-exceeded';
    },
  });
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    while (ready.length > 0) yield ready.shift() as ServerSentEvent;
    if (isTooLarge) throw new ClientError(`an event is larger than maxEventSize (${maxSize} characters)`);
  }
}
