/** Checks of arguments. Each error names the parameter, the rule and the value received. */
import { inspect } from 'node:util';

export function checkFunction(value: unknown, name: string): void {
  if (typeof value === 'function') return;
  const hint = isThenable(value)
    ? '. A promise is already running, outside the task: pass () => work() instead of work()'
    : '';
  throw new TypeError(`${name} must be a function, got ${shown(value)}${hint}`);
}

/** A duration in ms: a number, not NaN. Negative ones are for the caller to refuse or to treat as 0. */
export function checkMs(value: unknown, name: string): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds, got ${shown(value)}`);
  if (Number.isNaN(value)) throw new RangeError(`${name} must be a number of milliseconds, got NaN`);
}

export function checkMsOrNull(value: unknown, name: string): void {
  if (value !== null) checkMs(value, `${name} (or null for no limit)`);
}

export function checkInteger(value: unknown, name: string, min: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be an integer >= ${min}, got ${shown(value)}`);
  if (value !== Infinity && !Number.isInteger(value)) throw new RangeError(`${name} must be an integer, got ${value}`);
  if (value < min) throw new RangeError(`${name} must be >= ${min}, got ${value}`);
}

export function checkSignal(value: unknown, name: string): void {
  const signal = value as AbortSignal | null | undefined;
  if (typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function') return;
  throw new TypeError(`${name} must be an AbortSignal, got ${shown(value)}`);
}

export function checkClock(value: unknown, name: string): void {
  const clock = value as Record<string, unknown> | null;
  if (['now', 'wallTime', 'setTimer'].every((method) => typeof clock?.[method] === 'function')) return;
  throw new TypeError(`${name} must be a Clock, with now(), wallTime() and setTimer(), got ${shown(value)}`);
}

/** A name for reports and task trees. */
export function checkName(name: unknown): void {
  if (name !== undefined && typeof name !== 'string')
    throw new TypeError(`options.name must be a string, got ${shown(name)}`);
}

/** `undefined` and an object are options; anything else is a mistake. */
export function checkOptions(value: unknown, name: string): void {
  if (value === undefined || (typeof value === 'object' && value !== null)) return;
  throw new TypeError(`${name} must be an object, got ${shown(value)}`);
}

export function checkIterable(value: unknown, name: string): void {
  if (typeof (value as Iterable<unknown> | null | undefined)?.[Symbol.iterator] === 'function') return;
  throw new TypeError(`${name} must be an array or another iterable, got ${shown(value)}`);
}

export function checkOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw new TypeError(`${name} must be one of ${allowed.map((a) => `'${a}'`).join(', ')}, got ${shown(value)}`);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as PromiseLike<unknown>).then === 'function'
  );
}

/** A value as an error message shows it: short, one line. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
