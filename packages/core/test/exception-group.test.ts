import { inspect } from 'node:util';
import { ExceptionGroup, TimeoutError } from '@aiokit/core';
import { describe, expect, it } from 'vitest';

const late = new TimeoutError('late');
const bad = new TypeError('bad');
const inner = new ExceptionGroup([bad, late], 'inner');
const outer = new ExceptionGroup([late, inner], 'outer');

describe('an ExceptionGroup', () => {
  it('is an AggregateError with a name, a code and a message', () => {
    expect(outer).toBeInstanceOf(AggregateError);
    expect(outer).toBeInstanceOf(ExceptionGroup);
    expect(outer).toMatchObject({ name: 'ExceptionGroup', code: 'ERR_EXCEPTION_GROUP', message: 'outer' });
    expect(outer.errors).toEqual([late, inner]);
  });

  it('split() gives the part that matches and the rest, of the same shape', () => {
    const [timeouts, rest] = outer.split(TimeoutError);
    expect(timeouts?.errors).toEqual([late, expect.objectContaining({ message: 'inner', errors: [late] })]);
    expect(rest?.errors).toEqual([expect.objectContaining({ message: 'inner', errors: [bad] })]);
    expect(timeouts?.message).toBe('outer');
    expect(timeouts?.stack).toBe(outer.stack);
  });

  it('split() gives null for a part that is empty, and itself for a part that is all', () => {
    expect(outer.split(RangeError)).toEqual([null, outer]);
    expect(outer.split(Error)[0]).toBe(outer);
    expect(outer.split(Error)[1]).toBeNull();
  });

  it('split() takes a test instead of a class', () => {
    const [matched] = outer.split((error) => (error as Error).message === 'bad');
    expect(matched?.errors).toEqual([expect.objectContaining({ errors: [bad] })]);
  });

  it('subgroup() gives the part that matches, or null', () => {
    expect(outer.subgroup(TypeError)?.errors).toHaveLength(1);
    expect(outer.subgroup(SyntaxError)).toBeNull();
    expect(outer.subgroup(Error)).toBe(outer);
  });

  it('keeps its cause in the parts', () => {
    const group = new ExceptionGroup([late, bad], 'with cause');
    group.cause = 'the cause';
    expect(group.split(TimeoutError).map((part) => part?.cause)).toEqual(['the cause', 'the cause']);
  });

  it('holds errors that are no Errors', () => {
    const group = new ExceptionGroup(['text', undefined, late]);
    expect(group.split((error) => typeof error === 'string')[0]?.errors).toEqual(['text']);
  });

  it('refuses a class that is no error class', () => {
    class Fruit {}
    expect(() => outer.split(Fruit)).toThrow('match must be an error class or a test of one error, got function Fruit');
  });

  it('prints as a tree', () => {
    const lines = inspect(outer).split('\n');
    const tree = lines.filter((line) => /[├└]─/.test(line)).map((line) => line.replace(/^(\W*\w+: \w+).*/, '$1'));
    expect(tree).toEqual([
      '├─ TimeoutError: late',
      '└─ ExceptionGroup: inner',
      '   ├─ TypeError: bad',
      '   └─ TimeoutError: late',
    ]);
  });
});
