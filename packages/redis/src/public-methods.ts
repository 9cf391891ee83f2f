/**
 * Every public way into ioredis, wrapped: builtin commands and their Buffer forms, `call`, scripts, pipelines.
 *
 * Outside of a task (and on a detached client) a method is exactly ioredis's own. `sendCommand` alone would not do: the
 * promise of an autopipelined command or of a pipeline does not pass through it.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import { Bridge } from '@aiokit/core';
import { Redis as BaseRedis } from 'ioredis';
import { BlockingCall, type BlockingOptions } from './blocking-call.ts';
import { BlockingCommand, mayBlock } from './blocking-commands.ts';
import {
  CAN_FUSE,
  type Callback,
  type Caller,
  callBack,
  callInTask,
  execInTask,
  MAKING,
  type Sender,
  sendInTask,
} from './bridge.ts';
import {
  type Autopipelining,
  BUILTIN_COMMANDS,
  type Command,
  isAutopipelined,
  type Method,
  type Pipeline,
} from './ioredis.ts';
import { limitWait } from './replication-wait.ts';
import type { Autopipeline } from './turn.ts';

/** What the wrapped methods find in their client. */
export interface TaskClient extends Caller, Autopipelining {
  readonly options: Caller['options'] & Autopipelining['options'] & { readonly showFriendlyErrorStack?: boolean };
  readonly autopipeline: Autopipeline;
  readonly isCluster: boolean;
  readonly status: string;
  readonly slots?: readonly unknown[];
  readonly belongsToNoTask: boolean;
  readonly resources: { blockingOptions(encoding: 'utf8' | null): BlockingOptions };
}

/** Puts task-aware methods on a prototype, in front of those it inherits. */
export function wrapPublicMethods(prototype: object): void {
  const methods = prototype as Record<string, Method>;
  for (const command of BUILTIN_COMMANDS) {
    if (command === 'multi') continue;
    methods[command] = wrapMethod(methods[command] as Method, command, 'utf8');
    methods[`${command}Buffer`] = wrapMethod(methods[`${command}Buffer`] as Method, command, null);
  }
  methods.call = wrapMethod(methods.call as Method, null, 'utf8');
  methods.callBuffer = wrapMethod(methods.callBuffer as Method, null, null);
  methods.send_command = methods.call;
  methods.pipeline = wrapPipeline(methods.pipeline as Method);
  methods.multi = wrapPipeline(methods.multi as Method);
}

/** Wraps methods that ioredis put on one client: scripts, and builtins that were added later. */
export function wrapOwnMethods(client: object, name: string): void {
  const methods = client as Record<string, Method>;
  for (const each of [name, `${name}Buffer`]) methods[each] = wrapMethod(methods[each] as Method, name, 'utf8');
}

/** @param command its name; null where the first argument is the name. */
function wrapMethod(method: Method, command: string | null, encoding: 'utf8' | null): Method {
  const isMaybeBlocking = command === null || mayBlock(command);
  const isMaybeWait = command === null || command.startsWith('wait');
  const isPlain = CAN_FUSE && command !== null && PLAIN.has(method);
  return function (this: unknown, ...args: unknown[]): unknown {
    if (!Bridge.isNeeded()) return method.apply(this, args);
    // ioredis copies the methods of scripts to its pipelines, so `this` may be one.
    const client = this as TaskClient | Pipeline;
    if ('isPipeline' in client || client.belongsToNoTask) return method.apply(client, args);
    if (isMaybeBlocking) {
      const call = command === null ? blockCalled(client, args, encoding) : block(client, command, args, encoding);
      if (call !== null) return call;
    }
    if (isMaybeWait) limitWait(command, args);
    if (isPlain && !client.options.showFriendlyErrorStack && !tracing.hasSubscribers) {
      const line = lineOf(client, command);
      if (line !== null) return sendInTask(client, line, command, args, encoding);
    }
    if (isWaitingForSlots(client)) return withoutAutoPipelining(client, () => callInTask(client, method, args));
    return callInTask(client, method, args);
  };
}

/** Where a task's command is sent to; null if ioredis's own autopipeline has commands that must stay before it. */
function lineOf(client: TaskClient, command: string): Sender | null {
  if (!isAutopipelined(client, command)) return client;
  return client._autoPipelines.size + client._runningAutoPipelines.size === 0 ? client.autopipeline : null;
}

/** ioredis's own channel. It takes the promise of a command for a native one. */
const tracing = tracingChannel('ioredis:command');

/** The methods that do nothing but make their command and send it: those that no class of ioredis overrides. */
const PLAIN: ReadonlySet<unknown> = new Set(Object.values(Object.getPrototypeOf(BaseRedis.prototype) as object));

/** `call('BLPOP', …)`. */
function blockCalled(client: TaskClient, args: unknown[], encoding: 'utf8' | null): BlockingCall | null {
  const [name, ...rest] = args;
  return typeof name === 'string' && mayBlock(name) ? block(client, name, rest, encoding) : null;
}

function block(client: TaskClient, name: string, args: unknown[], encoding: 'utf8' | null): BlockingCall | null {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
  const blocking = BlockingCommand.parse(name, callback === undefined ? args : args.slice(0, -1));
  if (blocking === null) return null;
  const call = new BlockingCall(blocking, client.resources.blockingOptions(encoding));
  if (callback !== undefined) callBack(call, callback as Callback);
  return call;
}

/** A cluster that has no slots yet puts an autopipelined call off and makes its command later: too late to be noted. */
function isWaitingForSlots(client: TaskClient): boolean {
  return client.isCluster && client.options.enableAutoPipelining === true && client.slots?.length === 0;
}

function withoutAutoPipelining<R>(client: TaskClient, body: () => R): R {
  client.options.enableAutoPipelining = false;
  try {
    return body();
  } finally {
    client.options.enableAutoPipelining = true;
  }
}

function wrapPipeline(method: Method): Method {
  return function (this: unknown, ...args: unknown[]): unknown {
    const client = this as TaskClient;
    const made = method.apply(client, args) as Pipeline;
    if (!made?.isPipeline || client.belongsToNoTask) return made; // multi({ pipeline: false }) gives a promise.
    if (client.options.enableAutoPipelining) noteSharedCommands(made, client);
    if (client[MAKING] === null) made.exec = wrapExec(client, made);
    return made;
  };
}

function wrapExec(client: TaskClient, pipeline: Pipeline): Pipeline['exec'] {
  const { exec } = pipeline;
  let isRepeated = false;
  return (callback) => {
    // A cluster calls it again to follow redirections, in the context of the first call.
    if (isRepeated || !Bridge.isNeeded()) return exec.call(pipeline, callback);
    isRepeated = true;
    return execInTask(client, pipeline, exec as Method, callback);
  };
}

/** An autopipeline takes the commands of several tasks: each call notes its own. */
function noteSharedCommands(pipeline: Pipeline, client: TaskClient): void {
  const { sendCommand } = pipeline;
  pipeline.sendCommand = (command: Command) => {
    client[MAKING]?.made(command, true);
    return sendCommand.call(pipeline, command);
  };
}
