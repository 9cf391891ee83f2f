/** Checks of arguments. Each error names the parameter, the rule and the value received. */
import { inspect } from 'node:util';

/** A duration in ms that is not negative. */
export function checkDuration(value: unknown, name: string): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds, got ${shown(value)}`);
  if (!(value >= 0)) throw new RangeError(`${name} must be a number of milliseconds >= 0, got ${value}`);
  return value;
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${shown(value)}`);
}

export function checkOptions(value: unknown, name: string): void {
  if (value === undefined || (typeof value === 'object' && value !== null)) return;
  throw new TypeError(`${name} must be an object, got ${shown(value)}`);
}

/** A value as an error message shows it: short, one line. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

export function checkInteger(value: unknown, name: string, min: number): void {
  if (!Number.isInteger(value)) throw new TypeError(`${name} must be an integer >= ${min}, got ${shown(value)}`);
  if ((value as number) < min) throw new RangeError(`${name} must be >= ${min}, got ${value}`);
}

export function checkOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw new TypeError(`${name} must be one of ${allowed.map((each) => `'${each}'`).join(', ')}, got ${shown(value)}`);
}
