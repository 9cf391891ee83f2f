/** Checks of arguments. Each error names the parameter, the rule and the value received. */
import { inspect } from 'node:util';

export function checkMs(value: unknown, name: string, min = 0): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds, got ${shown(value)}`);
  if (!(value >= min)) throw new RangeError(`${name} must be a number of milliseconds >= ${min}, got ${value}`);
}

export function checkCount(value: unknown, name: string, min: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be an integer >= ${min}, got ${shown(value)}`);
  if (value !== Infinity && !Number.isInteger(value)) throw new RangeError(`${name} must be an integer, got ${value}`);
  if (value < min) throw new RangeError(`${name} must be >= ${min}, got ${value}`);
}

export function checkName(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${shown(value)}`);
  if (value === '') throw new RangeError(`${name} must not be empty`);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${shown(value)}`);
}

export function checkOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (allowed.includes(value as string)) return;
  throw new RangeError(`${name} must be one of ${allowed.map((a) => `'${a}'`).join(', ')}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  const text = inspect(value, { depth: 0, breakLength: Infinity });
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
