/**
 * CPU time per operation of @aiokit/pg against bare pg, in one process, in interleaved rounds: throughput spreads by half on a
 * shared machine, the ratio of CPU times within a round does not. Beside them postgres.js, if it is installed.
 *
 *   node --conditions=@aiokit/source --expose-gc pg.bench.ts [rounds]
 *   AIOKIT_BENCH_CANCELS=100000 … pg.bench.ts   also cancels so many queries, beside neighbours that check every answer
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createTask, isCancelled } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { postgres } from '@aiokit/testing/services';
import pg from 'pg';

const ROUNDS = Number(process.argv[2] ?? 40);
const CANCELS = Number(process.env.AIOKIT_BENCH_CANCELS ?? 0);
const CONCURRENCY = 50;
const CONNECTIONS = 10;

type Ask = (text: string, values?: unknown[]) => PromiseLike<unknown>;

interface Workload {
  readonly name: string;
  readonly operations: number;
  readonly text: string;
  readonly values?: (n: number) => unknown[];
}

const WORKLOADS: readonly Workload[] = [
  { name: 'select 1', operations: 2_000, text: 'select 1' },
  {
    name: '100 rows of 10 columns',
    operations: 400,
    text: `select ${Array.from({ length: 10 }, (_, c) => `n + ${c} as c${c}`).join(', ')} from generate_series(1, 100) n`,
  },
  {
    name: 'insert',
    operations: 1_500,
    text: 'insert into bench (n, t) values ($1, $2)',
    values: (n) => [n, `text ${n}`],
  },
];

async function work(ask: Ask, { operations, text, values }: Workload): Promise<void> {
  const worker = async () => {
    for (let n = 0; n < operations / CONCURRENCY; n++) await ask(text, values?.(n));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

/** In µs of CPU per operation. */
async function measure(body: () => Promise<unknown>, operations: number): Promise<number> {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await body();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / operations;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

async function postgresJs(url: string): Promise<{ ask: Ask; end(): Promise<void> } | null> {
  const module = await import('postgres' as string).catch(() => null);
  if (module === null) return null;
  const sql = module.default(url, { max: CONNECTIONS });
  return { ask: (text, values = []) => sql.unsafe(text, values), end: () => sql.end() };
}

/** Cancels queries at random instants. Returns the latencies from cancel() to the caller's CancelledError, in ms. */
async function cancelStorm(
  pool: Pool,
  cancels: number,
  text: string,
): Promise<{ latencies: number[]; stray: number; wrong: number }> {
  const latencies: number[] = [];
  let [stray, wrong, over] = [0, 0, false];
  const neighbours = Array.from({ length: 3 }, (_, who) =>
    createTask(async () => {
      for (let n = who * 1e7; !over; n++) {
        const answer = await pool.query('select $1::int as n', [n]).catch(() => null);
        if (answer === null) stray++;
        else if (answer.rows[0].n !== n) wrong++;
      }
    }),
  );
  const workers = pool.options.max + 1;
  const worker = async () => {
    for (let n = 0; n < cancels / workers; n++) {
      const task = createTask(() => pool.query(text));
      await delay(Math.random() * 6);
      const begun = performance.now();
      task.cancel();
      await task.then(
        () => {},
        (error) => void (isCancelled(error) ? latencies.push(performance.now() - begun) : stray++),
      );
    }
  };
  await Promise.all(Array.from({ length: workers }, () => createTask(worker)));
  over = true;
  await Promise.all(neighbours);
  return { latencies: latencies.sort((a, b) => a - b), stray, wrong };
}

await using server = await postgres({ server: 'private' });
const bare = new pg.Pool({ connectionString: server.url, max: CONNECTIONS });
const ours = new Pool({ connectionString: server.url, max: CONNECTIONS });
const other = await postgresJs(server.url);
await bare.query('create table bench (n int, t text)');
console.log(
  `Node ${process.version}, PostgreSQL ${server.version}, pool ${CONNECTIONS}, ${CONCURRENCY} at once, ${ROUNDS} rounds`,
);
console.log('µs of CPU per operation (median), ratio to pg in the same round (median)');
for (const workload of WORKLOADS) {
  const variants = [
    { label: 'pg', run: () => work((text, values) => bare.query(text, values), workload) },
    { label: 'aiokit, outside a task', run: () => work((text, values) => ours.query(text, values), workload) },
    {
      label: 'aiokit, in a task',
      run: async () => createTask(() => work((text, values) => ours.query(text, values), workload)),
    },
    ...(other === null ? [] : [{ label: 'postgres.js', run: () => work(other.ask, workload) }]),
  ];
  const times = variants.map((): number[] => []);
  for (const { run } of variants) await run();
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < variants.length; i++) {
      const index = (i + round) % variants.length;
      times[index]?.push(await measure((variants[index] as (typeof variants)[0]).run, workload.operations));
    }
  }
  console.log(`\n${workload.name}`);
  for (const [i, { label }] of variants.entries()) {
    const own = times[i] as number[];
    const ratio = median(own.map((time, round) => time / (times[0]?.[round] as number)));
    console.log(`  ${label.padEnd(24)} ${median(own).toFixed(2).padStart(8)}  ${ratio.toFixed(3)}`);
  }
}
if (CANCELS > 0) {
  for (const max of [1, 2, 10]) {
    await using pool = Object.assign(new Pool({ connectionString: server.url, max }), {
      [Symbol.asyncDispose](this: Pool) {
        return this.end();
      },
    });
    const { latencies, stray, wrong } = await cancelStorm(pool, CANCELS / 3, 'select pg_sleep(0.004)');
    const at = (share: number) => latencies[Math.floor((latencies.length - 1) * share)]?.toFixed(1);
    console.log(`\n${Math.round(CANCELS / 3)} cancels, pool of ${max}: ${stray} strays, ${wrong} wrong rows`);
    console.log(`  cancel → CancelledError: p50 ${at(0.5)} ms, p99 ${at(0.99)}, max ${at(1)}`);
    console.log(`  ${JSON.stringify(pool.statistics())}`);
  }
}
await Promise.all([bare.end(), ours.end(), other?.end()]);
