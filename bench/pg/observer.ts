/**
 * Looks at pg_stat_activity about every ms, in a process of its own, and sends each change of a backend's state with the
 * instant at which it was seen. (As fast as it can, it would take a core for itself and its backend, and measure that.)
 * Instants are `performance.timeOrigin + performance.now()`, the same clock in both processes.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

export interface StateSeen {
  readonly pid: number;
  readonly state: string;
  readonly at: number;
}

const [, , connectionString, watched] = process.argv;
const LOOK = {
  name: 'look', // Planned once: to plan it takes longer than to run it.
  text: 'select pid, state from pg_stat_activity where application_name = $1',
  values: [watched],
};
const client = new pg.Client({ connectionString: connectionString as string });
await client.connect();
process.on('disconnect', () => process.exit());
const states = new Map<number, string>();
for (;;) {
  const { rows } = await client.query(LOOK);
  const at = performance.timeOrigin + performance.now();
  for (const { pid, state } of rows) {
    if (states.get(pid) === state) continue;
    states.set(pid, state);
    process.send?.({ pid, state, at } satisfies StateSeen);
  }
  await delay(1);
}
