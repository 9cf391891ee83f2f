/**
 * The same for servers that are not ours: a request of Express, Koa or Fastify as a Task, cancelled when its client leaves.
 *
 * The frameworks' types are described as far as they are used, so that none of them is needed to compile this.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Bridge, createTask, detached, getRunningLoop, isCancelled, type Task } from '@aiokit/core';
import { checkHookOptions, LONGEST_TIMER } from './check-options.ts';
import { Children } from './children.ts';
import { bindTask, type Ending, inheritRequest, type RequestContext } from './request-context.ts';

export interface HookOptions {
  /** Whether a client who leaves cancels the request's task. Default: for GET and HEAD. */
  cancelOnDisconnect?: boolean | ((request: IncomingMessage) => boolean) | undefined;
  /** How long a request may take until its response begins, in ms; then it is cancelled and the client gets 504. Default: no limit. */
  requestTimeout?: number | null | undefined;
}

/**
 * Express 5: `app.use(expressTasks())`, after the body parsers, and `app.use(ignoreCancelled)` as the first error handler.
 */
export function expressTasks(options: HookOptions = {}) {
  checkHookOptions(options);
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    new NodeRequestTask(request, response, options).run(next);
  };
}

/** Express: a client who has left, or has its 504, needs no error page. */
export function ignoreCancelled(
  error: unknown,
  _request: unknown,
  response: ServerResponse,
  next: (error: unknown) => void,
): void {
  if (!isCancelled(error) || !(response.destroyed || response.writableEnded)) next(error);
}

/** Koa: `app.use(koaTasks())`. */
export function koaTasks(options: HookOptions = {}) {
  checkHookOptions(options);
  return async (
    context: { req: IncomingMessage; res: ServerResponse; respond?: boolean },
    next: () => Promise<unknown>,
  ): Promise<void> => {
    const request = new NodeRequestTask(context.req, context.res, options);
    try {
      await request.around(next);
    } catch (error) {
      if (request.ending === null || !isCancelled(error)) throw error;
      context.respond = false;
    }
  };
}

interface FastifyReply {
  raw: ServerResponse;
  code(status: number): unknown;
}

interface FastifyLike {
  addHook(
    name: 'preHandler',
    hook: (request: { raw: IncomingMessage }, reply: FastifyReply, done: () => void) => void,
  ): unknown;
}

/** Fastify 5: `fastify.register(fastifyTasks)`. Handlers run in the task, hooks before `preHandler` do not. */
export function fastifyTasks(fastify: FastifyLike, options: HookOptions, done: () => void): void {
  checkHookOptions(options);
  fastify.addHook('preHandler', (request, reply, next) => {
    new NodeRequestTask(request.raw, reply.raw, options, (status) => void reply.code(status)).run(next);
  });
  done();
}
// For the whole app, not only for the plugin's own scope.
Object.defineProperty(fastifyTasks, Symbol.for('skip-override'), { value: true });

class NodeRequestTask implements RequestContext {
  readonly bindings;
  readonly name: string;
  readonly upgrade = null;
  cancelOnDisconnect: boolean;
  ending: Ending | null = null;
  task: Task<unknown> | null = null;
  private readonly children = new Children();
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly setStatus: (status: number) => void;

  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    { cancelOnDisconnect, requestTimeout = null }: HookOptions,
    setStatus = (status: number): void => {
      outgoing.statusCode = status;
    },
  ) {
    this.setStatus = setStatus;
    const { method = 'GET', url = '/' } = incoming;
    this.bindings = { incoming, outgoing };
    this.name = `${method} ${url.split('?', 1)[0]}`;
    this.cancelOnDisconnect =
      typeof cancelOnDisconnect === 'function'
        ? cancelOnDisconnect(incoming)
        : (cancelOnDisconnect ?? (method === 'GET' || method === 'HEAD'));
    if (requestTimeout !== null) this.timer = setTimeout(() => this.expire(), Math.min(requestTimeout, LONGEST_TIMER));
    outgoing.on('close', () => this.closed());
  }

  background(fn: () => unknown, name: string | undefined): Task<unknown> {
    return detached(() => createTask(fn, { name })) as Task<unknown>;
  }

  own(child: Task<unknown>): void {
    this.children.add(child);
  }

  /** The framework goes on within `next` and does not say when it has ended: the response does. */
  run(next: () => void): void {
    const sent = new Sent();
    this.bindings.outgoing.on('close', () => sent.end());
    this.start(() => {
      next();
      return sent;
    });
    if (isClosed(this.bindings.outgoing)) sent.end();
  }

  /** The framework's `next` says when it has ended. */
  around<R>(next: () => Promise<R>): Task<R> {
    return this.start(next) as Task<R>;
  }

  private start(body: () => unknown): Task<unknown> {
    const run = () => {
      this.task = bindTask(this);
      return body();
    };
    const loop = getRunningLoop();
    const task = loop.createTask(run, { name: this.name, eager: true, onTask: inheritRequest }) as Task<unknown>;
    // The client may have left while middleware before this one waited.
    if (isClosed(this.bindings.outgoing)) this.closed();
    return task;
  }

  private closed(): void {
    clearTimeout(this.timer);
    if (!this.bindings.outgoing.writableEnded && this.cancelOnDisconnect) this.leave();
    if (!this.children.areDone) detached(() => this.children.end(this.name, () => {}));
  }

  /** The status is for logs: nobody sees it, and a cancel is no failure of the server. */
  private leave(): void {
    if (!this.bindings.outgoing.headersSent) this.setStatus(499);
    this.cancel('client left');
  }

  /** The answer is given here: the framework, and what it makes of the cancel, comes too late for it. */
  private expire(): void {
    const { outgoing } = this.bindings;
    if (outgoing.headersSent) return;
    outgoing.writeHead(504, { 'content-type': 'text/plain; charset=UTF-8' }).end('Gateway Timeout');
    this.cancel('timeout');
  }

  private cancel(ending: Ending): void {
    if (this.task === null || this.task.done()) return;
    this.ending ??= ending;
    this.task.cancel(`${this.name}: ${ending}`);
  }
}

/** HTTP/2's has no `closed`. */
function isClosed(outgoing: ServerResponse & { stream?: { closed: boolean } }): boolean {
  return outgoing.closed || outgoing.stream?.closed === true;
}

/** Ends with the response. A cancel is the handler's, not the task's own: the task ends as done, its cleanup left alone. */
class Sent extends Bridge<void> {
  end(): void {
    if (!this.done()) this.setResult();
  }

  protected override onCancel(): void {
    this.setResult();
  }
}
