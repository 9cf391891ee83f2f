import pg from 'pg';

export type DisposableClient = pg.Client & AsyncDisposable;

/** A connected client that ends with its scope. */
export async function connected(target: string | pg.ClientConfig): Promise<DisposableClient> {
  const client = new pg.Client(typeof target === 'string' ? { connectionString: target } : target);
  client.on('error', () => {}); // a test that cares listens itself
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Runs one statement on a connection of its own. */
export async function query(target: string | pg.ClientConfig, sql: string): Promise<Record<string, unknown>[]> {
  await using client = await connected(target);
  return (await client.query(sql)).rows;
}
