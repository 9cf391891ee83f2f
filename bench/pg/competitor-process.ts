/** `node competitor-process.ts <name> <url>`: one competitor's CPU µs per operation, in a process of its own, as JSON. */
import { createTask } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import pg from 'pg';
import postgresJs from 'postgres';
import { CONCURRENCY, CONNECTIONS, WORKLOADS, type Workload } from './workloads.ts';

const WARM_UP = 20; // Until everything is compiled: it takes some 40,000 queries.
const ROUNDS = 21;

type Ask = (text: string, values?: unknown[]) => PromiseLike<unknown>;

const [name = '', connectionString = ''] = process.argv.slice(2);
const ask = connect();
const isInTask = name === 'aiokit, in a task';
const medians: Record<string, number> = {};
for (const [title, workload] of Object.entries(WORKLOADS)) {
  const rounds: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    await (isInTask ? createTask(() => work(workload)) : work(workload));
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) rounds.push((user + system) / workload.operations);
  }
  medians[title] = rounds.toSorted((a, b) => a - b)[ROUNDS >> 1] as number;
}
console.log(JSON.stringify(medians));
process.exit();

async function work({ operations, text, values }: Workload): Promise<void> {
  const worker = async () => {
    for (let n = 0; n < operations / CONCURRENCY; n++) await ask(text, values?.(n));
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function connect(): Ask {
  const config = { connectionString, max: CONNECTIONS };
  if (name === 'postgres.js') {
    const sql = postgresJs(connectionString, { max: CONNECTIONS });
    return (text, values) => sql.unsafe(text, values as never[]);
  }
  const pool = name === 'pg' || name === 'pg again' ? new pg.Pool(config) : new Pool(config);
  return (text, values) => pool.query(text, values);
}
