/** How code that a handler calls finds its request: the request is kept on its task, and on all tasks made inside. */
import { currentTask, InvalidStateError, type Task } from '@aiokit/core';
import type { AcceptOptions, WebSocketHandler } from './accept-websocket.ts';
import type { NodeBindings } from './app.ts';

/** Why a request's task was cancelled, if it was. */
export type Ending = 'client left' | 'timeout' | 'shutdown' | 'body too large';

/** What is known of the request that is being handled. */
export interface RequestContext {
  readonly bindings: NodeBindings;
  /** `GET /path` */
  readonly name: string;
  readonly task: Task<unknown> | null;
  cancelOnDisconnect: boolean;
  /** Why it ends before its time. */
  ending: Ending | null;
  /** Set if the client asks for a WebSocket. */
  readonly upgrade: { accept(handler: WebSocketHandler, options: AcceptOptions): void } | null;
  background(fn: () => unknown, name: string | undefined): Task<unknown>;
  /** Told of the tasks made inside. */
  own?(child: Task<unknown>): void;
}

/** An AsyncLocalStorage of its own would cost each request a second entry in its async context. */
const REQUEST = Symbol('aiokit.request');

type TaskOfRequest = Task<unknown> & { [REQUEST]?: RequestContext };

/** To be called first in the request's task. Gives back that task. */
export function bindTask(request: RequestContext): Task<unknown> {
  const task = currentTask() as TaskOfRequest;
  task[REQUEST] = request;
  return task;
}

/** The `onTask` of each request's task. */
export function inheritRequest(child: Task<unknown>): void {
  const request = requestNow();
  if (request === undefined) return;
  (child as TaskOfRequest)[REQUEST] = request;
  request.own?.(child);
}

export function requestNow(): RequestContext | undefined {
  return (currentTask() as TaskOfRequest | null)?.[REQUEST];
}

export function currentRequest(caller: string): RequestContext {
  const request = requestNow();
  if (request !== undefined) return request;
  throw new InvalidStateError(`${caller}() outside of a request: it is for handlers that serve() runs`);
}

/** Whether it is what reading the body throws when the client has gone in the middle of it. */
export function isAbortedUpload(error: unknown, { incoming }: NodeBindings): boolean {
  return (
    incoming.errored != null && (error === incoming.errored || (error as Error | null)?.cause === incoming.errored)
  );
}
