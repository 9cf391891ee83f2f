/**
 * From `cancel()` to the backend's idle state, as another process sees it in pg_stat_activity (so what it takes to look is in
 * it); plain and through TLS, with 1 and with 10 cancels at once.
 *
 *   node --conditions=@aiokit/source pg-cancel.bench.ts [cancels]
 *   AIOKIT_BENCH_STORM=100000 … pg-cancel.bench.ts   also cancels so many short and long queries, beside neighbours that check
 *                                                    every answer they get
 */
import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { createTask, isCancelled } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { type PostgresServer, postgres } from '@aiokit/testing/services';
import type { StateSeen } from './pg/observer.ts';

const CANCELS = Number(process.argv[2] ?? 1000);
const WARM_UP = 200;
const STORM = Number(process.env.AIOKIT_BENCH_STORM ?? 0);
const WATCHED = 'cancelled';

/** The states of the watched backends, as the observer reports them. */
class Observed {
  private readonly states = new Map<number, StateSeen>();
  private readonly child;
  private changed = () => {};

  constructor(url: string) {
    this.child = fork(new URL('./pg/observer.ts', import.meta.url), [url, WATCHED], { execArgv: process.execArgv });
    this.child.on('message', (seen: StateSeen) => {
      this.states.set(seen.pid, seen);
      this.changed();
    });
  }

  async all(state: string, count: number): Promise<readonly StateSeen[]> {
    for (;;) {
      const found = [...this.states.values()].filter((seen) => seen.state === state);
      if (found.length >= count) return found;
      await new Promise<void>((resolve) => {
        this.changed = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.child.disconnect();
  }
}

/** The latencies of `CANCELS` cancels, so many at once, in ms. */
async function latencies({ url, ca }: PostgresServer, observerUrl: string, atOnce: number): Promise<number[]> {
  const config = { connectionString: url, max: atOnce, application_name: WATCHED, ...(ca ? { ssl: { ca } } : {}) };
  const pool = new Pool(config);
  using observed = new Observed(observerUrl);
  const found: number[] = [];
  await Promise.all(Array.from({ length: atOnce }, () => pool.query('select pg_sleep(0.01)')));
  while (found.length < WARM_UP + CANCELS) {
    const tasks = Array.from({ length: atOnce }, () => createTask(() => pool.query('select pg_sleep(60)')));
    await observed.all('active', atOnce);
    await delay(5); // beyond the short grace that a query has to end by itself
    const cancelledAt = performance.timeOrigin + performance.now();
    for (const task of tasks) task.cancel();
    await Promise.allSettled(tasks);
    for (const { at } of await observed.all('idle', atOnce)) found.push(at - cancelledAt);
  }
  await pool.end();
  return found.slice(WARM_UP).sort((a, b) => a - b);
}

/** Cancels queries at random instants, beside neighbours that check what they get. */
async function storm(pool: Pool, cancels: number): Promise<{ stray: number; wrong: number; asked: number }> {
  let [stray, wrong, asked, over] = [0, 0, 0, false];
  const neighbours = Array.from({ length: 3 }, (_, who) =>
    createTask(async () => {
      for (let n = who * 1e7; !over; n++) {
        const answer = await pool.query('select $1::int as n', [n]).catch(() => null);
        asked++;
        if (answer === null) stray++;
        else if (answer.rows[0].n !== n) wrong++;
      }
    }),
  );
  const workers = pool.options.max + 1;
  const worker = async () => {
    for (let n = 0; n < cancels / workers; n++) {
      const task = createTask(() => pool.query(`select pg_sleep(${[0, 0.001, 0.003, 10][n % 4]})`));
      await delay(Math.random() * 5);
      task.cancel();
      await task.catch((error) => {
        if (!isCancelled(error)) stray++;
      });
    }
  };
  await Promise.all(Array.from({ length: workers }, () => createTask(worker)));
  over = true;
  await Promise.all(neighbours);
  return { stray, wrong, asked };
}

await using plain = await postgres({ server: 'private' });
await using encrypted = await postgres({ server: 'private', tls: true });
console.log(`Node ${process.version}, PostgreSQL ${plain.version}: from cancel() to idle in pg_stat_activity, in ms`);
for (const [name, server] of [['plain', plain] as const, ['TLS', encrypted] as const]) {
  const { socketDir, port, user } = server;
  const observerUrl = `postgres://${user}@/postgres?host=${encodeURIComponent(socketDir)}&port=${port}`;
  for (const atOnce of [1, 10]) {
    const found = await latencies(server, observerUrl, atOnce);
    const at = (share: number) => (found[Math.ceil((found.length - 1) * share)] as number).toFixed(1).padStart(6);
    console.log(
      `  ${name.padEnd(6)} ${String(atOnce).padStart(2)} at once: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}  (${found.length} cancels)`,
    );
  }
}
for (const max of STORM > 0 ? [1, 2, 10] : []) {
  const pool = new Pool({ connectionString: plain.url, max });
  const { stray, wrong, asked } = await storm(pool, STORM / 3);
  console.log(
    `\n${Math.round(STORM / 3)} cancels, pool of ${max}, ${asked} answers to neighbours: ${stray} strays, ${wrong} wrong`,
  );
  console.log(`  ${JSON.stringify(pool.statistics())}`);
  await pool.end();
}
