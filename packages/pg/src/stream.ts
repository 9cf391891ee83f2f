import Cursor from 'pg-cursor';
import { finish, type Source } from './lease.ts';
import { type Statement, textAndValues } from './queries.ts';
import { validatedRow } from './rows.ts';
import { adopt } from './submittables.ts';

export interface StreamOptions {
  /** How many rows one round trip brings, and are held in memory. Default: 100. */
  batch?: number | undefined;
}

/** See `Queries.stream`. */
export async function* stream<Row>(
  source: Source,
  statement: Statement<Row>,
  options: StreamOptions = {},
): AsyncGenerator<Row, void, undefined> {
  const { batch = 100 } = options;
  if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`batch must be an integer >= 1, got ${batch}`);
  const { text, values, schema } = textAndValues(statement);
  const lease = await source._lease();
  const { client } = lease;
  let index = 0;
  const cursor = new Cursor<Row>(text, values);
  try {
    adopt(client, cursor as never);
    client._submit(cursor as never);
    for (;;) {
      const rows = await cursor.read(batch);
      for (const row of rows) yield schema === undefined ? row : await validatedRow(row, schema, index++);
      if (rows.length < batch) return;
    }
  } finally {
    await finish(client, () => cursor.close());
    await lease.release();
  }
}
