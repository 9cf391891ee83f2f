import { describe, expect, test } from 'vitest';
import { isCommit, isTransactionControl } from '../src/statement.ts';

describe('transaction control', () => {
  test.each([
    'begin',
    'BEGIN;',
    '  begin isolation level serializable read only deferrable',
    'START TRANSACTION',
    'commit',
    'END',
    'rollback',
    'ROLLBACK TO SAVEPOINT x',
    'rollback to savepoint a; release savepoint a',
    'abort',
    'savepoint "x"',
    'release savepoint x',
    "prepare transaction 'x'",
    "commit prepared 'x'",
    '-- a comment\nbegin',
    '/* opens; */ begin -- and more',
    'begin; set local statement_timeout = 5',
    'BEGIN;\n',
  ])('%j is', (text) => expect(isTransactionControl(text)).toBe(true));

  test.each([
    'select 1',
    'begin; select pg_sleep(60); commit',
    'insert into t values (1); commit',
    "select 'begin'",
    'beginning',
    'do $$ begin perform pg_sleep(60); end $$',
    '/* begin */ select pg_sleep(60)',
    '-- begin\nselect 1',
    'set statement_timeout = 5',
    'prepare s as select 1',
    '',
    undefined,
  ])('%j is not', (text) => expect(isTransactionControl(text)).toBe(false));

  test('COMMIT is told from the others', () => {
    expect(['commit', '/* x */ COMMIT;', 'end', "prepare transaction 'x'"].map(isCommit)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['rollback', 'begin', 'ending', 'release savepoint x'].map(isCommit)).toEqual([false, false, false, false]);
  });

  test('long texts with many comments are decided at once', () => {
    const begun = performance.now();
    expect(isTransactionControl(`${'/* x */ -- y\n '.repeat(5000)}select 1`)).toBe(false);
    expect(isTransactionControl(`begin;${' set x = 1;'.repeat(5000)}x`)).toBe(false);
    expect(isTransactionControl(`${' '.repeat(100_000)}x`)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(5000);
  });
});
