/** The other half of encode-error.ts: the error again, of core's class or the language's where it has one. */
import * as core from '../errors.ts';
import { ExceptionGroup } from '../exception-group.ts';
import type { EncodedError, EncodedValue } from './encode-error.ts';
import { WorkerDiedError } from './worker-died-error.ts';

type Make = (encoded: EncodedError) => Error;

const withMessage =
  (cls: new (message?: string) => Error): Make =>
  (encoded) =>
    new cls(encoded.message);

const CLASSES = new Map<string, Make>([
  ['CancelledError', ({ properties }) => new core.CancelledError(properties.reason, properties as { source: string })],
  ['ExceptionGroup', ({ errors = [], message }) => new ExceptionGroup(errors.map(decode), message)],
  ['AggregateError', ({ errors = [], message }) => new AggregateError(errors.map(decode), message)],
  ['DOMException', ({ message, name }) => new DOMException(message, name)],
  ...[
    core.TimeoutError,
    core.InvalidStateError,
    core.QueueEmpty,
    core.QueueFull,
    core.QueueShutDown,
    core.BrokenBarrierError,
    core.DeadlockError,
    WorkerDiedError,
    TypeError,
    RangeError,
    SyntaxError,
    ReferenceError,
    EvalError,
    URIError,
  ].map((cls): [string, Make] => [cls.name, withMessage(cls)]),
]);

export function decodeError(encoded: EncodedError): Error {
  const error = (CLASSES.get(encoded.class) ?? withMessage(Error))(encoded);
  for (const [key, value] of Object.entries(encoded.properties)) define(error, key, value, true);
  define(error, 'message', encoded.message);
  define(error, 'stack', encoded.stack);
  if (error.name !== encoded.name) define(error, 'name', encoded.name);
  if (encoded.cause !== undefined) define(error, 'cause', decode(encoded.cause));
  if (encoded.errors !== undefined && !('errors' in error)) define(error, 'errors', encoded.errors.map(decode));
  return error;
}

function decode(encoded: EncodedValue): unknown {
  return 'error' in encoded ? decodeError(encoded.error) : encoded.value;
}

function define(error: Error, key: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, key, { value, enumerable, writable: true, configurable: true });
}
