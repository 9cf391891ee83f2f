/**
 * @aiokit/pg against bare pg: CPU time per operation. Each has a process of its own, and the processes take turns; the ratio
 * is that of each turn, and the median of the turns counts. pg twice shows the noise. Beside them postgres.js, which
 * pipelines. (Python's asyncpg has another clock, and is left out.) TURNS says how often.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { postgres } from '@aiokit/testing/services';
import pg from 'pg';
import { CONCURRENCY, CONNECTIONS, WORKLOADS } from './pg/workloads.ts';

const TURNS = Number(process.env.TURNS ?? 9);
const NAMES = ['pg', 'aiokit, outside a task', 'aiokit, in a task', 'pg again', 'postgres.js'];

await using server = await postgres({ server: 'private' });
const setUp = new pg.Client(server.url);
await setUp.connect();
await setUp.query('create table bench (n int, t text)');
await setUp.end();

const turns: Record<string, number>[][] = [];
for (let turn = 0; turn < TURNS; turn++) {
  // Each time another one begins.
  const figures: Record<string, number>[] = [];
  for (let i = 0; i < NAMES.length; i++)
    figures[(i + turn) % NAMES.length] = figuresOf(NAMES[(i + turn) % NAMES.length] as string);
  turns.push(figures);
}

console.log(
  `Node ${process.version}, PostgreSQL ${server.version}, pool ${CONNECTIONS}, ${CONCURRENCY} at once, ${TURNS} turns\n` +
    'µs of CPU per operation (median), ratio to pg in the same turn (median)',
);
for (const title of Object.keys(WORKLOADS)) {
  console.log(`\n${title}`);
  for (const [i, name] of NAMES.entries()) {
    const own = turns.map((figures) => figures[i]?.[title] as number);
    const ratio = median(turns.map((figures) => (figures[i]?.[title] as number) / (figures[0]?.[title] as number)));
    console.log(`  ${name.padEnd(24)} ${median(own).toFixed(2).padStart(8)}  ${ratio.toFixed(3)}`);
  }
}

function figuresOf(name: string): Record<string, number> {
  const file = fileURLToPath(new URL('pg/competitor-process.ts', import.meta.url));
  const output = execFileSync(process.execPath, [...process.execArgv, file, name, server.url], { encoding: 'utf8' });
  return JSON.parse(output) as Record<string, number>;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
