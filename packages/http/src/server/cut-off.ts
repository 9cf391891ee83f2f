import { constants, Http2ServerResponse } from 'node:http2';
import type { NodeBindings } from './app.ts';

/** Ends an answer in its middle, so that nobody takes it for a whole one: HTTP/2's `destroy()` says that there was no error. */
export function cutOff(outgoing: NodeBindings['outgoing']): void {
  if (outgoing instanceof Http2ServerResponse) outgoing.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
  outgoing.destroy();
}
