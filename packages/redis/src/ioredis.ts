/**
 * What this package uses of ioredis beyond its published types, in one place: the same in 5.9 and in 6.
 *
 * Everything here is a member that ioredis itself reaches across its own files (`sendCommand`, the queues, a pipeline's
 * `_queue`), so it cannot change without changing ioredis's own shape. A test runs everything against both versions.
 */
import { type Cluster as BaseCluster, Redis as BaseRedis } from 'ioredis';

/** A command on its way: made by a public method, passed to `sendCommand`, perhaps several times. */
export interface Command {
  name: string;
  args: unknown[];
  readonly promise: Promise<unknown>;
  resolve(value: unknown): unknown;
  reject(error: Error): void;
  readonly pipelineIndex?: number;
  /** Only of commands that a cancel can reach. */
  [PASSAGE]?: Passage;
}

/** What has become of a command. */
export interface Passage {
  /** It was handed to a connection that was ready to write it. */
  sent: boolean;
  /** It is not to be sent (again): with a rejection, or (one of several in an autopipeline) by an empty place in it. */
  withdrawn: 'dropped' | 'blank' | null;
}

export const PASSAGE: unique symbol = Symbol('aiokit.passage');

/** What a pipeline gives `sendCommand` to write to: the last of its commands lets all of them leave in one piece. */
export interface PipelineStream {
  write(data: string): void;
}

export interface Deque<T> {
  readonly length: number;
  toArray(): T[];
  clear(): void;
  push(item: T): void;
  peekFront(): T | undefined;
}

export interface QueueItem {
  readonly command: Command;
  readonly stream?: PipelineStream;
}

export type SendCommand = (this: unknown, command: Command, stream?: PipelineStream, node?: unknown) => unknown;

/** One connection's inner side. */
export interface Connection {
  readonly status: string;
  readonly stream?: {
    readonly writable: boolean;
    readonly remoteAddress?: string;
    readonly remotePort?: number;
    readonly destroyed: boolean;
    readonly writableCorked: number;
    cork(): void;
    uncork(): void;
    destroy(): void;
  };
  readonly offlineQueue: Deque<QueueItem>;
  readonly condition: { readonly select: number; readonly subscriber: unknown } | null;
  sendCommand: SendCommand;
}

/** What a client has for its autopipelines. */
export interface Autopipelining {
  readonly options: { enableAutoPipelining?: boolean; autoPipeliningIgnoredCommands?: string[] };
  readonly _autoPipelines: { readonly size: number };
  readonly _runningAutoPipelines: { readonly size: number };
}

/** The commands that are never autopipelined, whatever the options say. */
const NEVER_AUTOPIPELINED: ReadonlySet<string> = new Set(
  'auth info script quit cluster pipeline multi subscribe psubscribe unsubscribe unpsubscribe select client hello readonly himport'.split(
    ' ',
  ),
);

export function isAutopipelined({ options }: Autopipelining, command: string): boolean {
  if (!options.enableAutoPipelining || NEVER_AUTOPIPELINED.has(command)) return false;
  return !options.autoPipeliningIgnoredCommands?.includes(command);
}

/** A pipeline's inner side. */
export interface Pipeline {
  readonly isPipeline: true;
  readonly _queue: readonly Command[];
  exec(callback?: (error: unknown, results: unknown) => void): Promise<unknown>;
  sendCommand(command: Command): unknown;
}

export type Method = (this: unknown, ...args: unknown[]) => unknown;

/** What our clients are to the inside of this package: an ioredis client of either kind. */
export type AnyClient = BaseRedis | BaseCluster;

export function inner(client: AnyClient): Connection {
  return client as unknown as Connection;
}

/** The names of all builtin commands, in lower case. */
export const BUILTIN_COMMANDS: readonly string[] = BaseRedis.prototype.getBuiltinCommands.call(undefined as never);
