/** The default export: pg's own, with our classes in it. */
import pg from 'pg';
import { Client } from './client.ts';
import { Pool, type PoolClient } from './pool.ts';

/**
 * What `import pg from 'pg'` gives, with this package's `Pool` and `Client`. Without `pg.native`, which knows no cancel.
 *
 * @example
 * ```ts
 * const { Pool } = pg;
 * pg.types.setTypeParser(pg.types.builtins.INT8, Number);
 * ```
 */
const dropIn: Omit<typeof pg, 'Pool' | 'Client' | 'native'> & {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
} = { ...pg, Pool, Client };

// Under names of their own: inside of the namespace the others stand for its members.
type OurClient = Client;
type OurPool = Pool;
type OurPoolClient = PoolClient;

/** So that `pg.QueryResult` is a type, too, as with pg. */
declare namespace dropIn {
  type BindConfig = pg.BindConfig;
  type Client = OurClient;
  type ClientBase = pg.ClientBase;
  type ClientConfig = pg.ClientConfig;
  type Connection = pg.Connection;
  type ConnectionConfig = pg.ConnectionConfig;
  type CustomTypesConfig = pg.CustomTypesConfig;
  type DatabaseError = pg.DatabaseError;
  type Defaults = pg.Defaults;
  type Events = pg.Events;
  type ExecuteConfig = pg.ExecuteConfig;
  type FieldDef = pg.FieldDef;
  type MessageConfig = pg.MessageConfig;
  type Notification = pg.Notification;
  type Pool = OurPool;
  type PoolClient = OurPoolClient;
  type PoolConfig = pg.PoolConfig;
  type PoolOptions = pg.PoolOptions;
  type Query = pg.Query;
  type QueryArrayConfig<Values = unknown[]> = pg.QueryArrayConfig<Values>;
  type QueryArrayResult<Row extends unknown[] = pg.QueryArrayResult['rows'][number]> = pg.QueryArrayResult<Row>;
  type QueryConfig<Values = unknown[]> = pg.QueryConfig<Values>;
  type QueryConfigValues<Values> = pg.QueryConfigValues<Values>;
  type QueryParse = pg.QueryParse;
  type QueryResult<Row extends pg.QueryResultRow = pg.QueryResultRow> = pg.QueryResult<Row>;
  type QueryResultBase = pg.QueryResultBase;
  type QueryResultRow = pg.QueryResultRow;
  type Result = pg.Result;
  type ResultBuilder<Row extends pg.QueryResultRow = pg.QueryResultRow> = pg.ResultBuilder<Row>;
  type Submittable = pg.Submittable;
  type TypeOverrides = pg.TypeOverrides;
}

export { dropIn as default };
