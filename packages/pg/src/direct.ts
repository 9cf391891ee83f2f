/**
 * Whether a connection leads to the server itself: then the close of a CancelRequest's connection is the server's own, and
 * proves that the request has been delivered. A proxy that speaks PostgreSQL has process ids of its own; any other is seen
 * by the server at another port than ours. (A unix socket has none: its process id must do.)
 */
import { detached, getRunningLoop, trackIO } from '@aiokit/core';
import type { Client } from './client.ts';
import { type Callback, PgQuery } from './pg-internals.ts';

const QUESTION = {
  text: 'select pg_catalog.pg_backend_pid(), pg_catalog.inet_client_port()',
  rowMode: 'array' as const,
  types: { getTypeParser: () => String },
};

/** Asks the server. A connection that cannot tell is taken for one that leads to a proxy. */
export function askWhetherDirect(client: Client, answer: (isDirect: boolean) => void): void {
  const operation = getRunningLoop().clock.real ? null : trackIO('pg cancel');
  const { localPort } = client.connection.stream;
  const expected = [String(client.processID), localPort === undefined ? null : String(localPort)];
  const query = new PgQuery(QUESTION);
  const told: Callback<{ rows: (string | null)[][] }> = (error, result) => {
    const [processId, port] = result?.rows[0] ?? [];
    answer(!error && processId === expected[0] && port === expected[1]);
    operation?.end();
  };
  query.callback = told as Callback<never>;
  detached(() => client._submit(query));
}
