/**
 * @aiokit/pg against bare pg: CPU time of the client per operation. Each competitor has a process of its own, away from the
 * server's core. They live side by side and take turns of some 50 ms, so that what the machine does besides meets all of
 * them; the ratio is that of each turn, and the median of the turns counts. Processes differ from start to start (by what
 * the engine compiles and where it puts it), hence several generations of them. pg twice shows the noise. Beside them
 * postgres.js, which pipelines, and Python's asyncpg, where `AIOKIT_PYTHON` (or python3) has it. `AIOKIT_NODE` names another
 * Node for the competitors.
 */
import { postgres } from '@aiokit/testing/services';
import pg from 'pg';
import { Competitor, hasAsyncpg, nodeVersion, pin } from './pg/competitor.ts';
import { CONCURRENCY, CONNECTIONS, WORKLOADS } from './pg/workloads.ts';

const GENERATIONS = Number(process.env.GENERATIONS ?? 3);
const WARM_UP = 25; // Until everything is compiled: it takes some 50,000 queries.
const TURNS = 25;
const NAMES = ['pg', 'aiokit, outside a task', 'aiokit, in a task', 'pg again', 'postgres.js'];
if (hasAsyncpg()) NAMES.push('asyncpg');

await using server = await postgres({ server: 'private' });
pin(server.pid, 1);
const setUp = new pg.Client(server.url);
await setUp.connect();
await setUp.query('create unlogged table bench (n int, t text)');

/** By workload and competitor: µs of CPU per operation in each turn. */
const figures: Record<string, number[][]> = {};
for (let generation = 0; generation < GENERATIONS; generation++) {
  await using competitors = new AsyncDisposableStack();
  const all = NAMES.map((name) => competitors.use(new Competitor(name, server.url)));
  for (const [title, workload] of Object.entries(WORKLOADS)) {
    const found = (figures[title] ??= NAMES.map(() => []));
    await setUp.query('truncate bench');
    for (const competitor of all) for (let i = 0; i < WARM_UP; i++) await competitor.work(workload);
    for (let turn = 0; turn < TURNS; turn++) {
      for (let i = 0; i < all.length; i++) {
        const who = (i + turn) % all.length; // Each time another one begins.
        found[who]?.push(await (all[who] as Competitor).work(workload));
      }
    }
  }
}
await setUp.end();

console.log(
  `Node ${nodeVersion()}, PostgreSQL ${server.version}, pool ${CONNECTIONS}, ${CONCURRENCY} at once, ${GENERATIONS} times ${TURNS} turns\n` +
    'µs of CPU per operation (median), ratio to pg in the same turn (median)',
);
for (const [title, found] of Object.entries(figures)) {
  console.log(`\n${title}`);
  const bare = found[0] as number[];
  for (const [i, own] of found.entries()) {
    const ratio = median(own.map((cpu, turn) => cpu / (bare[turn] as number)));
    console.log(`  ${NAMES[i]?.padEnd(24)} ${median(own).toFixed(2).padStart(8)}  ${ratio.toFixed(3)}`);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
