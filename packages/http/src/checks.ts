/** Checks of options that are numbers. */

export function positive(value: number, name: string): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number > 0, got ${typeof value}`);
  if (!(value > 0)) throw new RangeError(`${name} must be > 0 (Infinity for no limit), got ${value}`);
  return value;
}
