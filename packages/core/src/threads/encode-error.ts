/**
 * An error as plain data. structuredClone keeps message, stack and cause, and drops the name of every error that is not built
 * in, `code` and all other properties, and the `errors` of an AggregateError.
 *
 * This half runs in workers and loads nothing of core: core's errors are known by their brands.
 */
import { inspect, types } from 'node:util';

export interface EncodedError {
  /** The class to make it of, one of those of core or of the language. */
  readonly class: string;
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: EncodedValue | undefined;
  readonly errors: readonly EncodedValue[] | undefined;
  /** Its other own properties, those that can be sent. */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Anything can be thrown. */
export type EncodedValue = { readonly error: EncodedError } | { readonly value: unknown };

/** Errors in errors deeper than this are sent as text: a cause may be its own. */
const MAX_DEPTH = 8;
const OWN_FIELDS = new Set(['name', 'message', 'stack', 'cause', 'errors']);
const CORE_CLASSES = [
  'CancelledError',
  'TimeoutError',
  'InvalidStateError',
  'QueueEmpty',
  'QueueFull',
  'QueueShutDown',
  'BrokenBarrierError',
  'DeadlockError',
  'ExceptionGroup',
  'WorkerDiedError',
];
const BUILT_IN = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
  DOMException,
};

export function encodeError(error: unknown, depth = 0): EncodedError {
  if (!isError(error))
    return encodeError(new Error(`Not an error was thrown: ${inspect(error)}`, { cause: error }), depth);
  const { name, message, stack, cause, errors } = error as Error & { errors?: unknown };
  return {
    class: classOf(error),
    name: String(name),
    message: String(message),
    stack: typeof stack === 'string' ? stack : undefined,
    cause: cause === undefined ? undefined : encode(cause, depth + 1),
    errors: Array.isArray(errors) ? errors.map((each) => encode(each, depth + 1)) : undefined,
    properties: propertiesOf(error),
  };
}

function encode(value: unknown, depth: number): EncodedValue {
  if (isError(value) && depth <= MAX_DEPTH) return { error: encodeError(value, depth) };
  return { value: canBeSent(value) ? value : inspect(value) };
}

function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error;
}

function classOf(error: Error): string {
  const branded = CORE_CLASSES.find((name) => (error as never)[Symbol.for(`aiokit.${name}`)] === true);
  return branded ?? Object.entries(BUILT_IN).find(([, cls]) => error instanceof cls)?.[0] ?? 'Error';
}

function propertiesOf(error: Error): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const key of Object.getOwnPropertyNames(error)) {
    if (OWN_FIELDS.has(key)) continue;
    const value = (error as unknown as Record<string, unknown>)[key];
    if (canBeSent(value)) properties[key] = value;
  }
  return properties;
}

function canBeSent(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function' && typeof value !== 'symbol';
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
