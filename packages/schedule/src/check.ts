/** Checks of arguments. Each error names the parameter, the rule and the value received. */
import { inspect } from 'node:util';
import { ScheduleValueError } from './errors.ts';

export function checkFunction(value: unknown, name: string): void {
  if (typeof value === 'function') return;
  const hint = isThenable(value) ? '. A promise is already running: pass the function, and its arguments after it' : '';
  throw new TypeError(`${name} must be a function, got ${shown(value)}${hint}`);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

/** A duration in ms that is at least `min`. */
export function checkMs(value: unknown, name: string, min = 0): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds, got ${shown(value)}`);
  if (!(value >= min)) throw new RangeError(`${name} must be at least ${min} ms, got ${value}`);
}

export function checkCount(value: unknown, name: string, min: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be an integer >= ${min}, got ${shown(value)}`);
  if (value !== Infinity && !Number.isInteger(value)) throw new RangeError(`${name} must be an integer, got ${value}`);
  if (value < min) throw new RangeError(`${name} must be >= ${min}, got ${value}`);
}

export function checkString(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${shown(value)}`);
  if (value === '') throw new ScheduleValueError(`${name} must not be empty`);
}

export function checkOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  const message = `${name} must be one of ${allowed.map((a) => `'${a}'`).join(', ')}, got ${shown(value)}`;
  throw typeof value === 'string' ? new ScheduleValueError(message) : new TypeError(message);
}

/** Options are an object; a name that is not one of them is a mistake that would otherwise pass in silence. */
export function checkOptions(value: unknown, name: string, known: readonly string[]): void {
  if (value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} must be an object, got ${shown(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new TypeError(`${name}.${key} is not known. There are: ${known.join(', ')}`);
  }
}

/** A value as an error message shows it: short, one line. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
