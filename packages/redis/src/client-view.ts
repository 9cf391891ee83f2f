/**
 * Views of a client: the same connection, called in another context.
 *
 * A view is a Proxy whose methods run on the client itself, so that ioredis's own state has one owner. `instanceof`,
 * events and options are the client's.
 */
import { detached, withSignal } from '@aiokit/core';
import { type BullmqClient, unrecognised } from './bullmq.ts';
import type { AnyClient, Method, Pipeline } from './ioredis.ts';

type Run = (fn: () => unknown) => unknown;

/** What is called through it belongs to no task. Its duplicates are such views, too. */
export function detachedView<C extends AnyClient & BullmqClient>(client: C): C {
  return view(client, (name) => (name === 'defineCommand' ? (fn) => unrecognised(client, fn) : detached));
}

/** What is sent through it is cancelled when the signal aborts, and rejects with the signal's reason. */
export function signalView<C extends AnyClient>(client: C, signal: AbortSignal, sends: (name: string) => boolean): C {
  const run: Run = (fn) => withSignal(signal, fn);
  return view(client, (name) => (sends(name) ? run : null));
}

/** @param runnerOf how a method is run; null for as it is. */
function view<C extends AnyClient>(client: C, runnerOf: (name: string) => Run | null): C {
  const methods = new Map<Method, Method>();
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || typeof name !== 'string' || name === 'constructor') return value;
      const method = value as Method;
      let wrapped = methods.get(method);
      if (wrapped === undefined) {
        wrapped = wrap(target, name, method, runnerOf);
        methods.set(method, wrapped);
      }
      return wrapped;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

function wrap<C extends AnyClient>(
  client: C,
  name: string,
  method: Method,
  runnerOf: (name: string) => Run | null,
): Method {
  const makesPipeline = name === 'pipeline' || name === 'multi';
  const run = runnerOf(makesPipeline ? 'exec' : name) ?? ((fn: () => unknown) => fn());
  return function (this: unknown, ...args: unknown[]): unknown {
    if (makesPipeline) return viewPipeline(method.apply(client, args), run);
    if (makesIterable(name, args)) return iterable(method.apply(client, args) as AsyncIterable<unknown>, run);
    const result = run(() => method.apply(client, args));
    if (result === client) return this; // on(…).on(…)
    if (name === 'duplicate') return view(result as C, runnerOf);
    if (typeof args.at(-1) === 'function' && result instanceof Promise) result.catch(() => {}); // The callback has it.
    return result;
  };
}

/** `consume` with a handler gives a promise. */
function makesIterable(name: string, args: readonly unknown[]): boolean {
  return name === 'listen' || name.endsWith('Iterator') || (name === 'consume' && typeof args[3] !== 'function');
}

/** What is iterated over in a context: each step of the loop. */
function iterable<I extends AsyncIterable<unknown>>(made: I, run: Run): I {
  const iterate = made[Symbol.asyncIterator];
  return Object.assign(made, {
    [Symbol.asyncIterator]: () => {
      const iterator = iterate.call(made);
      return {
        next: () => run(() => iterator.next()),
        return: (value: unknown) => iterator.return?.(value),
      };
    },
  });
}

function viewPipeline(made: unknown, run: Run): unknown {
  const pipeline = made as Pipeline;
  if (!pipeline?.isPipeline) return made;
  const { exec } = pipeline;
  pipeline.exec = (callback) => run(() => exec.call(pipeline, callback)) as Promise<unknown>;
  return pipeline;
}
