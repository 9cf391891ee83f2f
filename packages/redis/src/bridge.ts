/**
 * The bridge: how a call of ioredis becomes a Future that a cancel can reach.
 *
 * Most calls: a command is made whose promise is the Future (TaskCommand). ioredis answers the command, and that ends the
 * Future: no promise and no closure in between, which pays for everything else that a task costs.
 *
 * The others (scripts, autopipelining, pipelines, somebody traces): the method is called as it is, the command that it
 * makes is noted when it passes `sendCommand` or enters an autopipeline, and the Future follows ioredis's promise.
 *
 * A cancel ends the Future at once. Replies come in order and are matched by position, so the reply of a cancelled command
 * is still read, and dropped in its turn: nobody's reply shifts.
 *
 * Blocking commands are different (their reply may be an element that nobody must lose): blocking-call.ts.
 */
import { Bridge, type CancelledError, getRunningLoop, type Operation, trackIO } from '@aiokit/core';
import { Command as BaseCommand } from 'ioredis';
import { RedisCancelledError } from './errors.ts';
import { type Command, type Connection, type Method, PASSAGE, type Passage, type Pipeline } from './ioredis.ts';
import { type OfflineCleaner, withdraw, withdrawAll, withdrawFromShared } from './withdrawal.ts';

export type Callback = (error: unknown, value?: unknown) => void;

/** The call whose method is running right now: the next command that is made belongs to it. */
export const MAKING: unique symbol = Symbol('aiokit.making');

export interface Sender {
  sendCommand(command: unknown): unknown;
}

/** What a client keeps for its calls. */
export interface Caller extends Sender {
  [MAKING]: CommandCall | null;
  readonly offline: OfflineCleaner;
  readonly options: {
    readonly keyPrefix?: string | Buffer | undefined;
    readonly host?: string | undefined;
    readonly port?: number | undefined;
  };
}

/** Sends a builtin command on behalf of the current task. `line`: where it is sent to, the caller itself or its autopipeline. */
export function sendInTask(
  caller: Caller,
  line: Sender,
  name: string,
  args: unknown[],
  encoding: 'utf8' | null,
): CommandCall {
  const callback = takeCallback(args);
  const command = new TaskCommand(name, args, { keyPrefix: caller.options.keyPrefix, replyEncoding: encoding });
  const call = command.promise;
  call.sentBy(caller);
  line.sendCommand(command);
  if (callback !== undefined) callBack(call, callback);
  return call;
}

/** Calls a public method, of whatever kind, on behalf of the current task. */
export function callInTask(caller: Caller, method: Method, args: unknown[]): CommandCall {
  const callback = takeCallback(args);
  const call = new CommandCall(method.name);
  call.sentBy(caller);
  const outer = caller[MAKING];
  caller[MAKING] = call;
  try {
    call.follow(method.apply(caller, args) as Promise<unknown>);
  } finally {
    caller[MAKING] = outer;
  }
  if (callback !== undefined) callBack(call, callback);
  return call;
}

/** Sends a pipeline or transaction on behalf of the current task. */
export function execInTask(
  client: Pick<Connection, 'status'> & { readonly isCluster: boolean },
  pipeline: Pipeline,
  exec: Method,
  callback: Callback | undefined,
): Bridge<unknown> {
  const call = new PipelineCall(pipeline);
  if (!client.isCluster && client.status === 'ready') call.sent = true;
  else call.noteWhenSent();
  call.follow(exec.call(pipeline) as Promise<unknown>);
  if (callback !== undefined) callBack(call, callback);
  return call;
}

/** A call that ends with an answer of ioredis. */
abstract class Call extends Bridge<unknown> implements Passage {
  sent = false;
  withdrawn: Passage['withdrawn'] = null;
  private readonly operation: Operation | null;

  constructor(label: string) {
    super();
    // Only a virtual clock has to know; on a real one it would cost every command.
    this.operation = getRunningLoop().clock.real ? null : trackIO('redis', { label, peer: () => this.peer() });
  }

  /** The server, as `host:port`; undefined in a cluster. */
  protected peer(): string | undefined {
    return undefined;
  }

  follow(promise: Promise<unknown>): void {
    promise.then(
      (value) => this.answer(value),
      (error) => this.fail(error),
    );
  }

  answer(value: unknown): void {
    if (!this.done()) this.setResult(value);
    this.operation?.end();
  }

  fail(error: unknown): void {
    if (!this.done()) this.setException(error ?? new Error(`rejected with ${error}`));
    this.operation?.end();
  }
}

/** One command that does not block. */
export class CommandCall extends Call {
  private caller: Caller | null = null;
  private command: Command | null = null;
  private isShared = false;

  sentBy(caller: Caller): void {
    this.caller = caller;
  }

  protected override peer(): string | undefined {
    const { host, port } = this.caller?.options ?? {};
    return host === undefined ? undefined : `${host}:${port}`;
  }

  /** Its command was made; `isShared` if it went into an autopipeline. */
  made(command: Command, isShared: boolean): void {
    this.command = command;
    this.isShared = isShared;
    command[PASSAGE] = this;
  }

  protected override onCancel(): void {
    const { command } = this;
    if (command !== null) {
      if (!this.sent) this.caller?.offline.oneMore();
      if (this.isShared) withdrawFromShared(command, this);
      else this.withdrawn = 'dropped';
    }
    this.setCancelled();
    if (command !== null && !this.isShared) withdraw(command, this);
  }
}

/** A pipeline, or a transaction in one: all of it or nothing. */
class PipelineCall extends Call {
  private readonly pipeline: Pipeline;
  private outcome: Promise<unknown> | null = null;

  constructor(pipeline: Pipeline) {
    super('pipeline');
    this.pipeline = pipeline;
  }

  /** The commands leave together, so the first one tells whether they have. */
  noteWhenSent(): void {
    const [first] = this.pipeline._queue;
    if (first !== undefined) first[PASSAGE] = this;
  }

  override follow(promise: Promise<unknown>): void {
    this.outcome = promise;
    super.follow(promise);
  }

  protected override onCancel(error: CancelledError): void {
    const { sent } = this;
    withdrawAll(this.pipeline._queue, this);
    this.setCancelled(new RedisCancelledError(error, { sent, outcome: sent ? this.outcome : null }));
  }
}

/** What ioredis's Command does inside, as far as its promise is concerned; the same in 5.9 and in 6. */
interface CommandInside extends Command {
  transformed: boolean;
  isResolved: boolean;
  isSettled: boolean;
  initPromise(): void;
  stringifyArguments(): void;
  transformReply(reply: unknown): unknown;
  _clearTimers(): void;
}
const Inside = BaseCommand as unknown as {
  new (name: string, args: unknown[], options: { keyPrefix: unknown; replyEncoding: 'utf8' | null }): CommandInside;
  readonly prototype: CommandInside;
  readonly _transformer?: { readonly argument: Readonly<Record<string, ((args: unknown[]) => unknown[]) | undefined>> };
};

/** Whether this ioredis is built as TaskCommand knows it; if a later one is not, every call goes the other way. */
export const CAN_FUSE =
  typeof Inside.prototype.initPromise === 'function' &&
  typeof Inside.prototype._clearTimers === 'function' &&
  typeof Inside._transformer?.argument === 'object';

/** A command whose promise is the Future itself. */
class TaskCommand extends Inside {
  declare readonly promise: CommandCall;

  /** Called by ioredis's constructor. */
  override initPromise(): void {
    this.isResolved = this.isSettled = false;
    if (!this.transformed) {
      this.transformed = true;
      const transform = Inside._transformer?.argument[this.name];
      if (transform !== undefined) this.args = transform(this.args);
      this.stringifyArguments();
    }
    const call = new CommandCall(this.name);
    (this as { promise: CommandCall }).promise = call;
    call.made(this, false);
  }

  override resolve(reply: unknown): unknown {
    this._clearTimers();
    let value: unknown;
    try {
      value = this.transformReply(reply);
    } catch (error) {
      this.reject(error as Error);
      return this.promise;
    }
    this.isResolved = this.isSettled = true;
    this.promise.answer(value);
    return this.promise;
  }

  override reject(error: Error): void {
    this._clearTimers();
    this.isSettled = true;
    this.promise.fail(error);
  }
}

/** ioredis's rule: a function in the last place is the callback. */
export function takeCallback(args: unknown[]): Callback | undefined {
  return typeof args.at(-1) === 'function' ? (args.pop() as Callback) : undefined;
}

/** A callback is called once; what it throws is thrown where ioredis throws it: outside, uncaught. The wait counts from now. */
export function callBack(call: Bridge<unknown>, callback: Callback): void {
  const throwLater = (error: unknown) =>
    setImmediate(() => {
      throw error;
    });
  call.waitFromNow();
  call
    .then(
      (value) => callback(null, value),
      (error) => callback(error),
    )
    .catch(throwLater);
}
