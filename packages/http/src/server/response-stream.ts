/** Streamed answers: pulled in the request's task, as fast as the client takes them. */

import type { ServerResponse } from 'node:http';
import type { ReadableStreamReadResult } from 'node:stream/web';
import { Bridge, type CancelledError } from '@aiokit/core';
import type { NodeBindings } from './app.ts';

/**
 * The body, if it is a stream; `null` if it is all there already.
 *
 * hono's lightweight Response, which its adapter puts in the place of the global one, makes a real one when it is asked for
 * `body`: three times the price of the whole answer. What it was made of is kept under a symbol that is not exported.
 */
export function streamIn(response: Response): ReadableStream<Uint8Array> | null {
  const kept = lightweightSymbol === undefined ? undefined : Reflect.get(response, lightweightSymbol);
  if (Array.isArray(kept)) return kept[1] instanceof ReadableStream ? kept[1] : null;
  return response.body;
}

let lightweightSymbol: symbol | undefined;

/** To be called once the adapter has replaced the global Response, or has not. */
export function learnLightweightResponse(): void {
  const symbols = Object.getOwnPropertySymbols(new Response('probe'));
  const probe = new Response('probe');
  lightweightSymbol = symbols.find(
    (symbol) => Array.isArray(Reflect.get(probe, symbol)) && symbol.description === 'cache',
  );
}

/** Nobody takes the rest of the answer. */
export class ClientLeft extends Error {}

/** Writes head and body. Returns when the last byte was handed over; throws what the source throws, or {@link ClientLeft}. */
export async function sendStream(
  response: Response,
  stream: ReadableStream<Uint8Array>,
  { incoming, outgoing: node }: NodeBindings,
): Promise<void> {
  const outgoing = node as ServerResponse; // HTTP/2's has the same methods.
  const reader = stream.getReader();
  let isComplete = false;
  try {
    outgoing.writeHead(response.status, headersOf(response));
    if (incoming.method === 'HEAD') {
      outgoing.end();
      return;
    }
    outgoing.flushHeaders?.();
    for (;;) {
      const { done, value } = await new Step<ReadableStreamReadResult<Uint8Array>>((resolve, reject) => {
        reader.read().then(resolve, reject);
      });
      if (done) break;
      if (outgoing.destroyed) throw new ClientLeft();
      if (!outgoing.write(value)) await new Step<void>((resolve) => drained(outgoing, resolve));
    }
    isComplete = true;
    outgoing.end();
  } finally {
    // The source's own cleanup is waited for. What it throws has been thrown already, or comes too late for anybody.
    if (!isComplete) await reader.cancel().catch(() => {});
  }
}

/** One wait of the sending. A cancel ends it at once; the source is told by `reader.cancel()`. */
class Step<T> extends Bridge<T> {
  constructor(start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void) {
    super();
    start(
      (value) => {
        if (!this.done()) this.setResult(value);
      },
      (error) => {
        if (!this.done()) this.setException(error ?? new Error(`The body's source failed with ${error}`));
      },
    );
  }

  protected override onCancel(_error: CancelledError): void {
    this.setCancelled();
  }
}

function drained(outgoing: ServerResponse, resolve: () => void): void {
  const done = () => {
    outgoing.off('drain', done);
    outgoing.off('close', done);
    resolve();
  };
  outgoing.on('drain', done);
  outgoing.on('close', done);
}

function headersOf(response: Response): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.fromEntries(response.headers);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  return headers;
}
