/**
 * CPU time per operation of @aiokit/pg against bare pg, in one process, in interleaved rounds: throughput spreads by half on a
 * shared machine, the ratio of CPU times within a round does not. Beside them postgres.js, which pipelines. (Python's asyncpg
 * would be another process with another clock, and is left out.)
 *
 *   node --conditions=@aiokit/source --expose-gc pg.bench.ts [rounds]
 */
import { createTask } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import { postgres } from '@aiokit/testing/services';
import pg from 'pg';
import postgresJs from 'postgres';

const ROUNDS = Number(process.argv[2] ?? 40);
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

await using server = await postgres({ server: 'private' });
const bare = new pg.Pool({ connectionString: server.url, max: CONNECTIONS });
const ours = new Pool({ connectionString: server.url, max: CONNECTIONS });
const other = postgresJs(server.url, { max: CONNECTIONS });
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
    { label: 'postgres.js', run: () => work((text, values) => other.unsafe(text, values as never[]), workload) },
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
await Promise.all([bare.end(), ours.end(), other.end()]);
