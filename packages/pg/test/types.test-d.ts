import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import { expectTypeOf } from 'vitest';
import { z } from 'zod';
import aiokitPg, {
  type Client,
  type ExecuteResult,
  Pool,
  type PoolClient,
  type QueryResult,
  type Sql,
  sql,
  type Transaction,
  types,
} from '../src/index.ts';

interface User {
  id: number;
  name: string;
}

const pool = new Pool({ cancel: 'server', afterCancel: 'trust', cancelGrace: 1000, max: 3 });

// It is a pg.Pool, and its statements have pg's types.
expectTypeOf(pool).toExtend<pg.Pool>();
expectTypeOf<Client>().toExtend<pg.Client>();
expectTypeOf(pool.query<User>('select 1')).resolves.toEqualTypeOf<pg.QueryResult<User>>();
expectTypeOf(pool.query({ text: 'select 1', cancel: 'ignore' })).resolves.toHaveProperty('rows');
expectTypeOf(drizzle(pool)).toExtend<NodePgDatabase>();

// What pg exports is here, too.
expectTypeOf<QueryResult<User>>().toEqualTypeOf<pg.QueryResult<User>>();
expectTypeOf(types).toEqualTypeOf<typeof pg.types>();
expectTypeOf(aiokitPg.Pool).toEqualTypeOf<typeof Pool>();
expectTypeOf(aiokitPg.types).toEqualTypeOf<typeof pg.types>();
expectTypeOf<aiokitPg.Pool>().toEqualTypeOf<Pool>();
expectTypeOf<aiokitPg.PoolClient>().toEqualTypeOf<PoolClient>();
expectTypeOf<aiokitPg.QueryResult<User>>().toEqualTypeOf<pg.QueryResult<User>>();
expectTypeOf<aiokitPg.QueryArrayResult>().toEqualTypeOf<pg.QueryArrayResult>();

// A connection of the pool is one of ours.
expectTypeOf(pool.connect()).resolves.toEqualTypeOf<PoolClient>();
expectTypeOf<PoolClient>().toExtend<pg.PoolClient>();
expectTypeOf<PoolClient['fetch']>().toEqualTypeOf<Pool['fetch']>();

// Rows are typed by a generic, by the statement, or by its schema.
expectTypeOf(pool.fetch<User>('select 1')).resolves.toEqualTypeOf<User[]>();
expectTypeOf(pool.fetch(sql<User>`select 1`)).resolves.toEqualTypeOf<User[]>();
expectTypeOf(pool.fetchRow(sql<User>`select 1`)).resolves.toEqualTypeOf<User | null>();
expectTypeOf(sql.type(z.object({ id: z.number() }))`select 1`).toEqualTypeOf<Sql<{ id: number }>>();
expectTypeOf(pool.fetchVal(sql.type(z.string().transform(Number))`select 1`)).resolves.toEqualTypeOf<number | null>();
expectTypeOf(pool.execute('delete from users')).resolves.toEqualTypeOf<ExecuteResult>();
expectTypeOf(pool.stream<User>('select 1')).toExtend<AsyncIterable<User>>();

// A transaction gives what its body gives.
expectTypeOf(pool.transaction((tx) => tx.fetchRow<User>('select 1'))).resolves.toEqualTypeOf<User | null>();
expectTypeOf(pool.transaction(() => 7)).resolves.toEqualTypeOf<number>();
expectTypeOf<Transaction['client']>().toEqualTypeOf<Client>();

// @ts-expect-error: an isolation level that PostgreSQL does not have
void pool.transaction(() => {}, { isolation: 'chaos' });
// @ts-expect-error: a tag, not a function
void sql('select 1');
