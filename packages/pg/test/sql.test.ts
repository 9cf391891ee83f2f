import { run } from '@aiokit/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { InvalidRowError, Pool, sql } from '../src/index.ts';
import { useServer } from './support.ts';

const db = useServer();
let pool: Pool;
beforeAll(async () => {
  pool = new Pool({ connectionString: db.url, max: 2 });
  await pool.query('create table people (id int primary key, name text, age int)');
  await pool.query("insert into people values (1, 'Ada', 36), (2, 'Grace', 85), (3, null, 20)");
});
afterAll(() => pool.end());

describe('sql', () => {
  test('sends every value as a parameter', async () => {
    const evil = "'; drop table people; --";
    const statement = sql`select ${evil}::text as evil, ${1}::int as one`;
    expect(statement).toMatchObject({ text: 'select $1::text as evil, $2::int as one', values: [evil, 1] });
    expect(await pool.fetch(statement)).toEqual([{ evil, one: 1 }]);
    expect((await pool.query(statement)).rows).toEqual([{ evil, one: 1 }]);
  });

  test('takes no text from what only looks like a fragment', async () => {
    const forged = JSON.parse('{"text":"drop table people","values":[],"strings":["drop"],"raw":["drop"]}');
    expect(await pool.fetchVal(sql`select ${forged}::jsonb->>'text'`)).toBe('drop table people');
  });

  test('numbers the values of fragments anew', () => {
    const where = sql`age > ${30} and name = ${'Ada'}`;
    expect(sql`select * from people where id = ${1} and (${where}) limit ${5}`).toMatchObject({
      text: 'select * from people where id = $1 and (age > $2 and name = $3) limit $4',
      values: [1, 30, 'Ada', 5],
    });
  });

  test('quotes identifiers, makes lists, joins parts', async () => {
    const columns = ['id', 'name'].map((name) => sql.id(name));
    const statement = sql`select ${sql.join(columns)} from ${sql.id('public', 'people')}
      where id in ${sql.list([1, 2])} and ${sql.join([sql`age > ${1}`, sql`name is not null`], sql` and `)} order by id`;
    expect(await pool.fetch(statement)).toEqual([
      { id: 1, name: 'Ada' },
      { id: 2, name: 'Grace' },
    ]);
    expect(sql`${sql.id('a"b')}`.text).toBe('"a""b"');
    expect(sql`${sql.raw('now()')}`.text).toBe('now()');
  });

  test('refuses what is a mistake', () => {
    expect(() => (sql as never as (text: string) => void)('select 1')).toThrow(
      "sql is a template tag: write sql`…`, not sql(…) (got 'select 1'). For text as it is there is sql.raw(text)",
    );
    expect(() => sql`select ${undefined}`).toThrow('sql: the value at $1 is undefined; use null for NULL');
    expect(() => sql.list([])).toThrow('sql.list([]): SQL has no empty list');
    expect(() => sql.id(7 as never)).toThrow('sql.id(name) must be a string, got 7');
  });
});

describe('fetch, fetchRow, fetchVal, execute', () => {
  test('give rows, the first row, the first value, and what was done', async () => {
    await run(async () => {
      expect(await pool.fetch('select id from people where age > $1 order by id', [30])).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
      expect(await pool.fetchRow('select name from people where id = $1', [2])).toEqual({ name: 'Grace' });
      expect(await pool.fetchRow('select 1 where false')).toBe(null);
      expect(await pool.fetchVal('select count(*)::int from people')).toBe(3);
      expect(await pool.fetchVal('select 1 where false')).toBe(null);
      expect(await pool.execute(sql`update people set age = age where id > ${1}`)).toEqual({
        command: 'UPDATE',
        rowCount: 2,
      });
    });
  });

  test('validate rows by a schema, and type them', async () => {
    const Person = z.object({ id: z.number(), name: z.string() });
    const people = await pool.fetch(sql.type(Person)`select id, name from people where id < ${3} order by id`);
    expect(people.map(({ name }) => name.toUpperCase())).toEqual(['ADA', 'GRACE']);
    const error = await pool.fetch(sql.type(Person)`select id, name from people order by id`).catch((e) => e);
    expect(error).toBeInstanceOf(InvalidRowError);
    expect(error).toMatchObject({ index: 2, code: 'ERR_INVALID_ROW' });
    expect(error.message).toContain("row 2 does not match the statement's schema: name:");
    expect(await pool.fetchVal(sql.type(z.string().transform(Number))`select count(*) from people`)).toBe(3);
  });

  test('refuse what is a mistake', async () => {
    await expect(pool.fetch(sql`select 1`, [1])).rejects.toThrow('values must not be given with sql`…`');
    await expect(pool.fetch('select 1', {} as never)).rejects.toThrow('values must be an array, got {}');
    await expect(pool.fetch(7 as never)).rejects.toThrow(
      'statement must be sql`…`, a string or a config with a text, got 7',
    );
  });
});

describe('executeMany', () => {
  test('runs a statement with many sets of values', async () => {
    await run(async () => {
      await pool.query('create table points (x int, y text)');
      const sets = Array.from({ length: 2345 }, (_, n) => [n, n % 7 === 0 ? null : `y${n}`]);
      expect(await pool.executeMany('insert into points values ($1, $2)', sets)).toEqual({ rowCount: 2345 });
      expect(
        await pool.fetchRow('select count(*)::int as n, sum(x)::int as sum, count(y)::int as y from points'),
      ).toEqual({
        n: 2345,
        sum: (2344 * 2345) / 2,
        y: 2345 - 335,
      });
      expect(await pool.executeMany('insert into points values ($1, $2)', [])).toMatchObject({ rowCount: 0 });
    });
  });

  test('does all or nothing', async () => {
    await run(async () => {
      await pool.query('create table unique_points (x int primary key)');
      const sets = Array.from({ length: 1200 }, (_, n) => [n === 1199 ? 0 : n]);
      await expect(pool.executeMany('insert into unique_points values ($1)', sets)).rejects.toMatchObject({
        code: '23505',
      });
      expect(await pool.fetchVal('select count(*)::int from unique_points')).toBe(0);
      await expect(pool.executeMany('insert into nowhere values ($1)', [[1]])).rejects.toMatchObject({ code: '42P01' });
      await expect(pool.executeMany('insert into unique_points values ($1)', [7 as never])).rejects.toThrow(
        'sets[0] must be an array of values, got number',
      );
      expect(pool.statistics()).toMatchObject({ waiting: 0, total: pool.idleCount });
    });
  });
});
