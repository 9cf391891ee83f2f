/**
 * The one piece of module-level state: what every copy of core in this process shares.
 *
 * A bundler or npm may load core twice. Both copies must see the same ambient scope, so it lives on `globalThis` under a
 * `Symbol.for` key. What the copies call on each other's objects is fixed by `PROTOCOL`; a copy that speaks another one
 * is an error at import, not a riddle at run time.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from './clock.ts';
import type { EventLoop } from './loop.ts';
import type { ProcessSignals } from './process-signals.ts';
import type { Scope } from './scope.ts';

const PROTOCOL = 1;
const KEY = Symbol.for('aiokit.core');

export interface Registry {
  readonly protocol: number;
  /** The ambient value: the innermost cancel scope of the code that runs. */
  readonly context: AsyncLocalStorage<Scope | undefined>;
  defaultLoop: EventLoop | null;
  /** Set by loop.ts; here, so that Future need not import the loop that makes Futures. */
  makeDefaultLoop: (() => EventLoop) | null;
  clock: Clock | null;
  signals: ProcessSignals | null;
  /** Numbers for the default task names. */
  serial: number;
  /** Set once the process-wide guard for floating CancelledErrors is in place. */
  floatingGuard: boolean;
  /** Warnings that were given: each kind once per process. */
  readonly warned: Set<string>;
}

function join(): Registry {
  const host = globalThis as { [KEY]?: Registry };
  const found = host[KEY];
  if (found === undefined) {
    const made: Registry = {
      protocol: PROTOCOL,
      context: new AsyncLocalStorage(),
      defaultLoop: null,
      makeDefaultLoop: null,
      clock: null,
      signals: null,
      serial: 0,
      floatingGuard: false,
      warned: new Set(),
    };
    host[KEY] = made;
    return made;
  }
  if (found.protocol !== PROTOCOL) {
    throw new Error(
      `Two incompatible copies of @aiokit/core are loaded: this one speaks protocol ${PROTOCOL}, the first one ` +
        `${found.protocol}. Install one version for all packages (npm ls @aiokit/core shows who asks for which).`,
    );
  }
  return found;
}

export const registry: Registry = /* @__PURE__ */ join();
