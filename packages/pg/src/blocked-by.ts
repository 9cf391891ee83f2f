import { detached } from '@aiokit/core';
import type { Client } from './client.ts';
import { PgClient } from './pg-internals.ts';

/** Whose lock it waits for: sessions that wait for their own client, or for such a session in turn. */
const BLOCKED = `
  select exists (
    select from pg_stat_activity
    where pid = any (pg_blocking_pids($1)) and (state like 'idle in transaction%' or wait_event_type = 'Lock')
  ) as blocked`;

/**
 * Whether the statement that the client runs waits for a lock of a session that does nothing itself: only its client can let
 * go of it, and in virtual time that client may be a task that sleeps. Asked on a connection of its own.
 */
export async function isBlocked(client: Client): Promise<boolean> {
  const { host, port, user, password, database, ssl } = client as unknown as Record<string, never>;
  const observer = new PgClient({ host, port, user, password, database, ssl });
  return detached(async () => {
    observer.on('error', () => {});
    try {
      await observer.connect();
      const { rows } = await observer.query(BLOCKED, [client.processID]);
      return (rows[0] as { blocked: boolean }).blocked;
    } finally {
      await observer.end();
    }
  });
}
