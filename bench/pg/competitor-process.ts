/**
 * `node competitor-process.ts <name> <url>`: one competitor. For each workload that comes as a line of JSON it does the work and
 * answers with the CPU time of an operation, in µs.
 */
import { createInterface } from 'node:readline';
import { createTask } from '@aiokit/core';
import { Pool } from '@aiokit/pg';
import pg from 'pg';
import postgresJs from 'postgres';
import { CONCURRENCY, CONNECTIONS, type Workload } from './workloads.ts';

type Ask = (text: string, values?: unknown[]) => PromiseLike<unknown>;

const [name = '', connectionString = ''] = process.argv.slice(2);
const ask = connect();
const isInTask = name === 'aiokit, in a task';
for await (const line of createInterface({ input: process.stdin })) {
  const workload = JSON.parse(line) as Workload;
  const before = process.cpuUsage();
  await (isInTask ? createTask(() => work(workload)) : work(workload));
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / workload.operations);
}
process.exit();

async function work({ operations, text, hasValues }: Workload): Promise<void> {
  const worker = async () => {
    for (let n = 0; n < operations / CONCURRENCY; n++) await ask(text, hasValues ? [n, `text ${n}`] : undefined);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function connect(): Ask {
  // Without a limit of idleness: a competitor that waits for its turn keeps its connections.
  const config = { connectionString, max: CONNECTIONS, idleTimeoutMillis: 0 };
  if (name === 'postgres.js') {
    const sql = postgresJs(connectionString, { max: CONNECTIONS });
    return (text, values) => sql.unsafe(text, values as never[]);
  }
  const pool = name.startsWith('pg') ? new pg.Pool(config) : new Pool(config);
  return (text, values) => pool.query(text, values);
}
