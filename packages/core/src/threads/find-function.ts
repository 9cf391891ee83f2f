/** Inside a worker: the function that a job names. */
import { IMPORTING } from './importing.ts';
import type { Call } from './protocol.ts';

type AnyFunction = (...args: unknown[]) => unknown;

export function findFunction(call: Call): AnyFunction | Promise<AnyFunction> {
  return call.module === null ? compile(call) : load(call.module, call.name);
}

async function load(module: string, name: string): Promise<AnyFunction> {
  const host = globalThis as { [IMPORTING]?: string | undefined };
  host[IMPORTING] = module;
  try {
    const exports = (await import(module)) as Record<string, unknown>;
    const found = exports[name];
    if (typeof found === 'function') return found as AnyFunction;
    const names = Object.keys(exports).join(', ') || 'nothing';
    throw new TypeError(`workerFn: ${module} exports no function '${name}'. It exports ${names}`);
  } finally {
    host[IMPORTING] = undefined;
  }
}

const compiled = new Map<string, AnyFunction>();
/** Source texts are few in any sane program; one that makes them up must not fill the memory. */
const MAX_COMPILED = 1000;

function compile({ source, name }: Call): AnyFunction {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const fn = evaluate(source, name);
  const checked = async (...args: unknown[]) => {
    try {
      return await fn(...args);
    } catch (error) {
      throw adviseOnClosure(error, name);
    }
  };
  if (compiled.size >= MAX_COMPILED) compiled.clear();
  compiled.set(source, checked);
  return checked;
}

/** What tools put into source text: esbuild, and so tsx, with `keepNames`; vite, and so vitest, for `import()`. */
const TOOLS = {
  __name: (fn: unknown) => fn,
  __vite_ssr_dynamic_import__: (specifier: string) => import(specifier),
};

function evaluate(source: string, name: string): AnyFunction {
  const url = `\n//# sourceURL=toThread(${encodeURIComponent(name || 'anonymous')})`;
  const make = (expression: string): AnyFunction =>
    new Function(...Object.keys(TOOLS), `'use strict'; return (${expression}\n)${url}`)(...Object.values(TOOLS));
  try {
    return make(source);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A method: `name() {}` is a function only inside of an object.
    return make(`Object.values({${source}})[0]`);
  }
}

function adviseOnClosure(error: unknown, fn: string): unknown {
  const name = error instanceof ReferenceError ? /^(\S+) is not defined$/.exec(error.message)?.[1] : undefined;
  if (name === undefined) return error;
  return new ReferenceError(
    `${name} is not defined in the worker. Only the source text of ${fn || 'the function'} is sent: it sees its arguments ` +
      `and globals, and nothing around it. Pass ${name} as an argument, import() it inside, or export the function from a ` +
      `module and use workerFn(import.meta.url, '${fn || 'name'}')`,
    { cause: error },
  );
}
