/** The methods that a pool, a client and a transaction have in common beyond pg's. */
import { inspect } from 'node:util';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type pg from 'pg';
import { BatchQuery } from './batch.ts';
import { StatementCall } from './bridge/index.ts';
import { copyFrom, copyTo } from './copy.ts';
import type { Source } from './lease.ts';
import { validated } from './rows.ts';
import { isSql, type Sql } from './sql.ts';
import { type StreamOptions, stream } from './stream.ts';
import { Transaction, type TransactionOptions, transaction } from './transaction.ts';

/** `sql\`…\``, a text, or pg's config object. `Row` is the type of the rows. */
export type Statement<Row = pg.QueryResultRow> = Sql<Row> | string | pg.QueryConfig;

/** What a statement did. */
export interface ExecuteResult {
  /** The command, such as 'INSERT'. */
  readonly command: string;
  /** How many rows it inserted, changed, deleted or returned. */
  readonly rowCount: number;
}

/**
 * A cancel stops each of them on the server, as it does `query`; a statement that has taken effect first returns its value.
 */
export interface Queries {
  /**
   * All rows.
   *
   * @param statement with a text: `values` for its `$1`, `$2`, …
   * @throws {DatabaseError} by the server; {@link InvalidRowError}, if the statement has a schema and a row does not match it
   * @example
   * ```ts
   * const adults = await pool.fetch<User>(sql`select * from users where age >= ${18}`);
   * ```
   */
  fetch<Row = pg.QueryResultRow>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]>;
  /** The first row, or `null` if there is none. */
  fetchRow<Row = pg.QueryResultRow>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row | null>;
  /**
   * The first column of the first row, or `null` if there is no row. A schema of the statement is for this value.
   *
   * @example
   * ```ts
   * const count = await pool.fetchVal<string>('select count(*) from users');
   * ```
   */
  fetchVal<Value = unknown>(statement: Statement<Value>, values?: readonly unknown[]): Promise<Value | null>;
  /** Runs a statement for its effect. */
  execute(statement: Statement<unknown>, values?: readonly unknown[]): Promise<ExecuteResult>;
  /**
   * Runs one statement with many sets of values, in a few round trips, and all or nothing: outside of a transaction, too, an
   * error or a cancel undoes what was done.
   *
   * @param sets one array of values for each run; all are read before the first is sent
   * @example
   * ```ts
   * await pool.executeMany('insert into points (x, y) values ($1, $2)', [[1, 2], [3, 4]]);
   * ```
   */
  executeMany(statement: string, sets: Iterable<readonly unknown[]>): Promise<ExecuteResult>;
  /**
   * The rows one by one, through a cursor, without ever holding more than a batch of them. Leaving the loop closes the cursor.
   *
   * @param options `batch`: how many rows one round trip brings (100)
   * @example
   * ```ts
   * for await (const event of pool.stream<Event>('select * from events', { batch: 1000 })) await handle(event);
   * ```
   */
  stream<Row = pg.QueryResultRow>(
    statement: Statement<Row>,
    options?: StreamOptions,
  ): AsyncGenerator<Row, void, undefined>;
  /**
   * What `COPY … TO STDOUT` sends, in chunks. Leaving the loop stops it on the server.
   *
   * @see https://www.postgresql.org/docs/current/sql-copy.html
   */
  copyTo(statement: Statement<unknown>): AsyncGenerator<Buffer, void, undefined>;
  /**
   * Sends data to `COPY … FROM STDIN`, as fast as the server takes them. If the data end with an error, or the task is
   * cancelled, nothing has been copied.
   *
   * @returns how many rows were copied
   * @example
   * ```ts
   * await pool.copyFrom('copy points from stdin csv', createReadStream('points.csv'));
   * ```
   */
  copyFrom(
    statement: Statement<unknown>,
    data: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  ): Promise<number>;
  /** Sends a notification. In a transaction it leaves with COMMIT. */
  notify(channel: string, payload?: string): Promise<void>;
  /**
   * Runs `body` in a transaction: COMMIT when it returns, ROLLBACK when it throws or is cancelled. Inside of another one of
   * the same pool it is a savepoint. Neither COMMIT nor ROLLBACK is cut off by a cancel, and the body's error is never replaced
   * by one of ROLLBACK.
   *
   * @throws what `body` throws; {@link TransactionAbortedError}, if the body swallowed the error of a statement
   * @example
   * ```ts
   * await pool.transaction(async (tx) => {
   *   await tx.execute(sql`update accounts set balance = balance - ${amount} where id = ${from}`);
   *   await tx.execute(sql`update accounts set balance = balance + ${amount} where id = ${to}`);
   * }, { isolation: 'serializable', retry: 3 });
   * ```
   */
  transaction<R>(body: (tx: Transaction) => R, options?: TransactionOptions): Promise<Awaited<R>>;
}

type Self = Source & Pick<pg.Client, 'query'>;

/** Assigned to the prototypes of `Pool`, `Client` and `Transaction`. */
export const queries = {
  async fetch<Row>(this: Self, statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]> {
    const { config, schema } = toConfig(statement, values);
    const { rows } = await this.query(config);
    return validated<Row>(rows, schema);
  },

  async fetchRow<Row>(this: Self, statement: Statement<Row>, values?: readonly unknown[]): Promise<Row | null> {
    const { config, schema } = toConfig(statement, values);
    const { rows } = await this.query(config);
    if (rows.length === 0) return null;
    const [row] = await validated<Row>(rows.slice(0, 1), schema);
    return row as Row;
  },

  async fetchVal<Value>(this: Self, statement: Statement<Value>, values?: readonly unknown[]): Promise<Value | null> {
    const { config, schema } = toConfig(statement, values);
    const { rows } = await this.query<unknown[]>({ ...config, rowMode: 'array' });
    const [first] = rows;
    if (first === undefined) return null;
    const [value] = await validated<Value>(first.slice(0, 1), schema);
    return (value ?? null) as Value | null;
  },

  async execute(this: Self, statement: Statement<unknown>, values?: readonly unknown[]): Promise<ExecuteResult> {
    const { command, rowCount } = await this.query(toConfig(statement, values).config);
    return { command, rowCount: rowCount ?? 0 };
  },

  async executeMany(this: Self, statement: string, sets: Iterable<readonly unknown[]>): Promise<ExecuteResult> {
    if (typeof statement !== 'string') throw new TypeError(`statement must be a string, got ${inspect(statement)}`);
    const batch = new BatchQuery(statement, sets);
    if (batch.size === 0) return { command: '', rowCount: 0 };
    const lease = await this._lease();
    try {
      const call = new StatementCall<ExecuteResult>(batch, null);
      call.submit(lease.client);
      return await call;
    } finally {
      await lease.release();
    }
  },

  stream<Row>(this: Self, statement: Statement<Row>, options?: StreamOptions): AsyncGenerator<Row, void, undefined> {
    return stream(this, statement, options);
  },

  copyTo(this: Self, statement: Statement<unknown>): AsyncGenerator<Buffer, void, undefined> {
    return copyTo(this, statement);
  },

  copyFrom(
    this: Self,
    statement: Statement<unknown>,
    data: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  ): Promise<number> {
    return copyFrom(this, statement, data);
  },

  async notify(this: Self, channel: string, payload = ''): Promise<void> {
    await this.query('select pg_notify($1, $2)', [channel, payload]);
  },

  transaction<R>(this: Self, body: (tx: Transaction) => R, options?: TransactionOptions): Promise<Awaited<R>> {
    return transaction(this, body, options);
  },
};

Object.assign(Transaction.prototype, queries);

/** A statement's parts, for what does not go through pg's `query`. */
export function textAndValues<Row>(statement: Statement<Row>): {
  text: string;
  values: unknown[];
  schema: StandardSchemaV1<unknown, Row> | undefined;
} {
  const { config, schema } = toConfig(statement, undefined);
  return { text: config.text, values: config.values ?? [], schema };
}

function toConfig<Row>(
  statement: Statement<Row>,
  values: readonly unknown[] | undefined,
): { config: pg.QueryConfig<unknown[]>; schema: StandardSchemaV1<unknown, Row> | undefined } {
  if (values !== undefined && !Array.isArray(values)) {
    throw new TypeError(`values must be an array, got ${inspect(values, { depth: 0 })}`);
  }
  if (typeof statement === 'string') return { config: withValues({ text: statement }, values), schema: undefined };
  if (isSql(statement)) {
    if (values !== undefined) throw new TypeError('values must not be given with sql`…`: it has its own');
    return { config: { text: statement.text, values: statement.values }, schema: statement.schema as never };
  }
  if (typeof statement?.text === 'string') return { config: withValues({ ...statement }, values), schema: undefined };
  throw new TypeError(
    `statement must be sql\`…\`, a string or a config with a text, got ${inspect(statement, { depth: 0 })}`,
  );
}

function withValues(config: pg.QueryConfig, values: readonly unknown[] | undefined): pg.QueryConfig<unknown[]> {
  return values === undefined ? config : { ...config, values: [...values] };
}
