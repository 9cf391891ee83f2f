/**
 * Several errors at once: what a task group throws.
 */
import { inspect } from 'node:util';
import { checkFunction, shown } from './check.ts';
import { brand } from './errors.ts';

type ErrorClass<E> = abstract new (...args: never[]) => E;
/** An error class, or a test. */
export type ErrorMatch = ErrorClass<unknown> | ((error: unknown) => boolean);

/**
 * An error made of errors, which may be groups themselves. Prints as a tree.
 *
 * @example
 * ```ts
 * try {
 *   await taskGroup((group) => {
 *     group.createTask(loadUser);
 *     group.createTask(loadOrders);
 *   });
 * } catch (error) {
 *   if (!(error instanceof ExceptionGroup)) throw error;
 *   const [timeouts, rest] = error.split(TimeoutError);
 *   if (rest) throw rest;
 *   console.log(`${timeouts?.errors.length} were too slow`);
 * }
 * ```
 *
 * @see https://docs.python.org/3/library/exceptions.html#ExceptionGroup
 */
export class ExceptionGroup extends AggregateError {
  readonly code = 'ERR_EXCEPTION_GROUP';

  constructor(errors: Iterable<unknown>, message = '') {
    super(errors, message);
    if (this.errors.length === 0) throw new RangeError('errors must hold at least one error, got none');
  }

  /** The part that matches and the part that does not, each a group of the same shape or `null`. */
  split(match: ErrorMatch): [matched: ExceptionGroup | null, rest: ExceptionGroup | null] {
    const test = testOf(match);
    return [this.filter(test), this.filter((error) => !test(error))];
  }

  /** The part that matches, a group of the same shape, or `null`. */
  subgroup(match: ErrorMatch): ExceptionGroup | null {
    return this.filter(testOf(match));
  }

  private filter(test: (error: unknown) => boolean): ExceptionGroup | null {
    const kept: unknown[] = [];
    for (const error of this.errors) {
      const part = error instanceof ExceptionGroup ? error.filter(test) : test(error) ? error : null;
      if (part !== null) kept.push(part);
    }
    if (kept.length === 0) return null;
    if (kept.length === this.errors.length && kept.every((error, i) => error === this.errors[i])) return this;
    const group = new ExceptionGroup(kept, this.message);
    group.cause = this.cause;
    if (this.stack !== undefined) group.stack = this.stack;
    return group;
  }

  [inspect.custom](_depth: number, options: object, print: typeof inspect): string {
    const lines = [this.stack ?? String(this)];
    this.errors.forEach((error, i) => {
      const last = i === this.errors.length - 1;
      const [first = '', ...rest] = print(error, options).split('\n');
      lines.push(`${last ? '└─' : '├─'} ${first}`, ...rest.map((line) => `${last ? '  ' : '│ '} ${line}`));
    });
    return lines.join('\n');
  }
}

brand(ExceptionGroup, 'ExceptionGroup');

function testOf(match: ErrorMatch): (error: unknown) => boolean {
  checkFunction(match, 'match');
  const isClass = match === Error || (match as ErrorClass<unknown>).prototype instanceof Error;
  if (isClass) return (error) => error instanceof (match as ErrorClass<unknown>);
  if (/^class\s/.test(Function.prototype.toString.call(match))) {
    throw new TypeError(`match must be an error class or a test of one error, got ${shown(match)}`);
  }
  return match as (error: unknown) => boolean;
}
