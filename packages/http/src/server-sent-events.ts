import { createParser } from 'eventsource-parser';

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

/** Parses a stream of bytes as server-sent events. `onRetry` is told how long the server asks to wait before a reconnect. */
export async function* eventsIn(
  bytes: AsyncIterable<Uint8Array>,
  onRetry?: (ms: number) => void,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder();
  const ready: ServerSentEvent[] = [];
  let lastId = '';
  const parser = createParser({
    onEvent({ event = 'message', data, id }) {
      lastId = id ?? lastId;
      ready.push({ event, data, id: lastId });
    },
    onRetry: (ms) => onRetry?.(ms),
  });
  for await (const chunk of bytes) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    while (ready.length > 0) yield ready.shift() as ServerSentEvent;
  }
}
