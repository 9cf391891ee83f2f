/** Looks at what `serve` is given before anything listens: an error names the option, the rule and the value received. */
import type { HookOptions } from './hooks.ts';
import type { ServeOptions } from './options.ts';

type Check = (value: unknown, name: string) => void;

const bool = ofType('boolean');
const text = ofType('string');
const port = wholeNumber(0, 65_535);
const count = wholeNumber(1);
const duration = number(0);
const positive = number(Number.MIN_VALUE, '> 0');

const OPTIONS: { readonly [K in keyof Omit<ServeOptions, 'limits'>]-?: Check } = {
  port,
  host: text,
  socketPath: text,
  tls: ofType('object'),
  http2: bool,
  cancelOnDisconnect: either('function', bool),
  requestTimeout: either('function', orNull(positive)),
  deadlineHeader: headerName,
  gracefulTimeout: duration,
  cancelTimeout: duration,
  drainDelay: duration,
  handleSignals: bool,
  onError: ofType('function'),
  overrideGlobalObjects: bool,
};

const LIMITS: { readonly [K in keyof NonNullable<ServeOptions['limits']>]-?: Check } = {
  headerSize: count,
  bodySize: orNull(duration),
  headersTimeout: count,
  receiveTimeout: count,
  sendTimeout: orNull(positive),
  keepAliveTimeout: count,
  connections: orNull(count),
  requestsPerConnection: orNull(count),
};

const HOOKS: { readonly [K in keyof HookOptions]-?: Check } = {
  cancelOnDisconnect: OPTIONS.cancelOnDisconnect,
  requestTimeout: orNull(positive),
};

/** Node takes a longer timer, in ms, for one of 1 ms. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** @throws TypeError for a value of another type, RangeError for one out of range. */
export function checkHookOptions(options: HookOptions): void {
  checkAll(options, HOOKS, 'options');
}

/** @throws TypeError for a value of another type, RangeError for one out of range. */
export function checkServeOptions(options: ServeOptions): void {
  checkAll(options, OPTIONS, 'options');
  if (options.limits !== undefined) checkAll(options.limits, LIMITS, 'limits');
  const { headersTimeout, receiveTimeout = 300_000 } = options.limits ?? {};
  if (headersTimeout !== undefined && headersTimeout > receiveTimeout) {
    throw new RangeError(
      `limits.headersTimeout must be at most limits.receiveTimeout (${receiveTimeout}), got ${headersTimeout}`,
    );
  }
}

function checkAll(values: object, checks: Readonly<Record<string, Check>>, what: string): void {
  ofType('object')(values, what);
  const prefix = what === 'options' ? '' : `${what}.`;
  for (const [name, check] of Object.entries(checks)) {
    const value: unknown = Reflect.get(values, name);
    if (value !== undefined) check(value, prefix + name);
  }
}

function ofType(type: 'boolean' | 'string' | 'function' | 'object'): Check {
  return (value, name) => {
    if (typeof value === type && value !== null) return;
    throw new TypeError(`${name} must be ${type === 'object' ? 'an' : 'a'} ${type}, got ${shown(value)}`);
  };
}

function either(type: 'function', check: Check): Check {
  return (value, name) => {
    if (typeof value !== type) check(value, `${name} (or a ${type} that says it for each request)`);
  };
}

function orNull(check: Check): Check {
  return (value, name) => {
    if (value !== null) check(value, `${name} (or null for no limit)`);
  };
}

function number(min: number, rule = `>= ${min}`): Check {
  return (value, name) => {
    if (typeof value !== 'number') throw new TypeError(`${name} must be a number ${rule}, got ${shown(value)}`);
    if (!(value >= min)) throw new RangeError(`${name} must be ${rule}, got ${value}`);
  };
}

function wholeNumber(min: number, max = Infinity): Check {
  const rule = max === Infinity ? `>= ${min}` : `from ${min} to ${max}`;
  return (value, name) => {
    if (typeof value !== 'number') throw new TypeError(`${name} must be a whole number ${rule}, got ${shown(value)}`);
    if (Number.isSafeInteger(value) && value >= min && value <= max) return;
    throw new RangeError(`${name} must be a whole number ${rule}, got ${value}`);
  };
}

function headerName(value: unknown, name: string): void {
  text(value, name);
  if (/^[\w!#$%&'*+.^`|~-]+$/.test(value as string)) return;
  throw new TypeError(`${name} must be the name of a header, got ${shown(value)}`);
}

function shown(value: unknown): string {
  return value !== null && typeof value === 'object' ? 'an object' : String(JSON.stringify(value) ?? typeof value);
}
