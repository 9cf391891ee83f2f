/**
 * The platform's Response, its body and the body's readers, whose waits are cancellation points.
 *
 * An instance gets a prototype between itself and its own: the platform's internals are those of the instance, `instanceof
 * Response` holds, and it works with whatever implementation made the instance (a mock's, undici's own, hono's).
 */
import { Bridge, type CancelledError, getRunningLoop, type Operation, trackIO } from '@aiokit/core';
import type { FetchConnection } from './fetch-connection.ts';

/** One wait for data. A cancel aborts the whole request: half a body is of use to nobody. */
class BodyWait<T> extends Bridge<T> {
  private readonly connection: FetchConnection;

  constructor(connection: FetchConnection, promise: Promise<T>, isLast: (value: T) => boolean) {
    super();
    this.connection = connection;
    const operation = trackOnVirtualTime(connection, 'body');
    promise.then(
      (value) => {
        if (isLast(value)) connection.complete();
        if (!this.done()) this.setResult(value);
        operation?.end();
      },
      (error) => {
        connection.stop();
        if (!this.done()) this.setException(error ?? new Error(`the body was aborted with the reason ${error}`));
        operation?.end();
      },
    );
  }

  protected override onCancel(error: CancelledError): void {
    this.setCancelled();
    this.connection.abort(error);
  }
}

/** Returns what it is given, so that the class below puts its private field on that. */
class Given {
  constructor(target: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how a private field gets onto an object that is there already
    return target;
  }
}

/** Marks an object of the platform's as ours: invisible, and cheaper than a WeakMap, which slows each garbage collection. */
class Mark extends Given {
  readonly #connection: FetchConnection;

  constructor(target: object, connection: FetchConnection) {
    super(target);
    this.#connection = connection;
  }

  static on(target: object): FetchConnection | null {
    return #connection in target ? (target as Mark).#connection : null;
  }
}

const prototypes = new WeakMap<object, object>();

export function bindResponse(response: Response, connection: FetchConnection): Response {
  return bind(response, connection, responseMembers);
}

function bind<T extends object>(
  target: T,
  connection: FetchConnection,
  members: (base: T) => PropertyDescriptorMap,
): T {
  if (Mark.on(target) !== null) return target;
  new Mark(target, connection);
  const base: T = Object.getPrototypeOf(target);
  let prototype = prototypes.get(base);
  if (prototype === undefined) {
    prototype = Object.create(base, members(base)) as object;
    prototypes.set(base, prototype);
  }
  return Object.setPrototypeOf(target, prototype);
}

function responseMembers(base: Response): PropertyDescriptorMap {
  const members: PropertyDescriptorMap = {
    body: {
      get(this: Response) {
        const body: ReadableStream | null = Reflect.get(base, 'body', this);
        return body === null ? null : bind(body, connectionOf(this), streamMembers);
      },
    },
    clone: method(function (this: Response) {
      return bindResponse(base.clone.call(this), connectionOf(this));
    }),
  };
  for (const name of ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text']) {
    const original: unknown = Reflect.get(base, name);
    if (typeof original === 'function') members[name] = method(waiting(original as () => Promise<unknown>, always));
  }
  return members;
}

function streamMembers(base: ReadableStream): PropertyDescriptorMap {
  const values = function (
    this: ReadableStream,
    options?: { preventCancel?: boolean },
  ): AsyncIterableIterator<unknown> {
    const connection = connectionOf(this);
    const iterator: AsyncIterator<unknown> = base.values.call(this, options);
    const iterable: AsyncIterableIterator<unknown> = {
      next: () => new BodyWait(connection, iterator.next(), ({ done }) => done === true),
      return: (value) => iterator.return?.(value) ?? Promise.resolve({ done: true, value }),
      [Symbol.asyncIterator]: () => iterable,
    };
    return iterable;
  };
  return {
    values: method(values),
    [Symbol.asyncIterator]: method(values),
    getReader: method(function (this: ReadableStream, options?: { mode: 'byob' }) {
      const reader: object = base.getReader.call(this, options as undefined);
      return bind(reader as ReadableStreamDefaultReader, connectionOf(this), readerMembers);
    }),
    pipeTo: method(waiting(base.pipeTo as (...args: never[]) => Promise<void>, always)),
    pipeThrough: method(function (this: ReadableStream, ...args: Parameters<ReadableStream['pipeThrough']>) {
      return bind(base.pipeThrough.apply(this, args), connectionOf(this), streamMembers);
    }),
    tee: method(function (this: ReadableStream) {
      return base.tee.call(this).map((branch) => bind(branch, connectionOf(this), streamMembers));
    }),
  };
}

function readerMembers(base: ReadableStreamDefaultReader): PropertyDescriptorMap {
  const read = base.read as (...args: never[]) => Promise<{ done: boolean }>;
  return { read: method(waiting(read, ({ done }) => done)) };
}

/** The method, its promise as a cancellation point. */
function waiting<A extends never[], T>(original: (...args: A) => Promise<T>, isLast: (value: T) => boolean) {
  return function (this: object, ...args: A): Promise<T> {
    return new BodyWait(connectionOf(this), original.apply(this, args), isLast);
  };
}

function method(value: (...args: never[]) => unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true };
}

function connectionOf(target: object): FetchConnection {
  return Mark.on(target) as FetchConnection;
}

function always(): boolean {
  return true;
}

/** A real clock has no use for it, and a request is not to pay for it. */
export function trackOnVirtualTime(connection: FetchConnection, what: 'response' | 'body'): Operation | null {
  if (getRunningLoop().clock.real) return null;
  const { label, isOpenEnded: open } = connection;
  return trackIO('http', what === 'response' ? { label } : { label: `${label} (body)`, open });
}
