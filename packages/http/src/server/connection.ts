/**
 * The requests under way on a connection of HTTP/1.1: when it closes, they are told together. A listener on each response
 * costs each request more, and Node 22 tells only the first of pipelined ones.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestTask } from './request-task.ts';

const LATEST = Symbol('aiokit.latestRequest');

/** The latest request, which knows the one before it: there are rarely two. */
type ServedSocket = Socket & { [LATEST]?: RequestTask | null };

/** From now on `request` is told when the connection closes. */
export function follow(request: RequestTask): void {
  const socket = socketOf(request);
  const latest = socket[LATEST];
  if (latest === undefined) socket.on('close', connectionClosed);
  request._earlier = latest ?? null;
  socket[LATEST] = request;
}

/** To be called once for each that follows. */
export function unfollow(request: RequestTask): void {
  const socket = socketOf(request);
  if (socket[LATEST] === request) {
    socket[LATEST] = request._earlier;
    return;
  }
  let later = socket[LATEST] ?? null;
  while (later !== null && later._earlier !== request) later = later._earlier;
  if (later !== null) later._earlier = request._earlier;
}

function socketOf(request: RequestTask): ServedSocket {
  return request.bindings.incoming.socket as Socket;
}

function connectionClosed(this: ServedSocket): void {
  for (let request = this[LATEST] ?? null, earlier: RequestTask | null; request !== null; request = earlier) {
    earlier = request._earlier;
    const outgoing = request.bindings.outgoing as ServerResponse;
    // One that waits for its turn behind another: Node 22 has forgotten it.
    if (outgoing.socket === null && !outgoing.closed) outgoing.destroy().emit('close');
    request._closed();
  }
}
