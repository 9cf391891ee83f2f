/**
 * CPU time per operation of @aiokit/redis and node-redis against bare ioredis, in one process, in interleaved rounds:
 * throughput spreads by half on a shared machine, the ratio of CPU times within a round by a few per cent; a second bare
 * ioredis shows by how many. redis-py is left out: it needs an installation of its own, from another registry.
 *
 *   node --conditions=@aiokit/source --expose-gc redis.bench.ts [rounds]
 */
import { createTask } from '@aiokit/core';
import { Redis } from '@aiokit/redis';
import { redis as startServer } from '@aiokit/testing/services';
import { createClient } from '@redis/client';
import { Redis as BareRedis } from 'ioredis';

const ROUNDS = Number(process.argv[2] ?? 40);
const CONCURRENCY = 50;

interface Workload {
  readonly name: string;
  readonly operations: number;
  readonly autoPipelining?: boolean;
  run(client: Client, operations: number): Promise<unknown>;
}

/** What the clients have in common. */
interface Client {
  set(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
  batch(): { get(key: string): unknown; exec(): Promise<unknown> };
}

const WORKLOADS: readonly Workload[] = [
  { name: 'GET/SET, 50 at once', operations: 8_000, run: getAndSet },
  { name: 'pipeline of 100', operations: 40_000, run: pipelines },
  { name: 'GET/SET autopipelined, 50 at once', operations: 16_000, autoPipelining: true, run: getAndSet },
];

async function getAndSet(client: Client, operations: number): Promise<void> {
  const worker = async (id: number) => {
    for (let i = 0; i < operations / CONCURRENCY; i += 2) {
      await client.set(`k${id}`, `${i}`);
      await client.get(`k${id}`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, id) => worker(id)));
}

async function pipelines(client: Client, operations: number): Promise<void> {
  for (let i = 0; i < operations / 100; i++) {
    const pipeline = client.batch();
    for (let k = 0; k < 100; k++) pipeline.get(`k${k}`);
    await pipeline.exec();
  }
}

function ioredis<C extends BareRedis>(client: C): C & Client {
  return Object.assign(client, { batch: () => client.pipeline() });
}

/** It autopipelines always. */
async function nodeRedis(options: { host: string; port: number }) {
  const client = await createClient({ socket: options }).connect();
  const batch = () => {
    const multi = client.multi();
    return Object.assign(multi, { exec: () => multi.execAsPipeline() });
  };
  return Object.assign(client, { batch });
}

/** In µs of CPU per operation. */
async function measure(work: () => Promise<unknown>, operations: number): Promise<number> {
  globalThis.gc?.();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / operations;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}

await using server = await startServer({ server: 'private' });
const { host, port } = server;
console.log(
  `Node ${process.version}, Redis ${server.version}, ${ROUNDS} rounds: µs of CPU per operation (median), ratio`,
);
for (const { name, operations, autoPipelining = false, run } of WORKLOADS) {
  const options = { host, port, enableAutoPipelining: autoPipelining };
  const bare = ioredis(new BareRedis(options));
  const again = ioredis(new BareRedis(options));
  const ours = ioredis(new Redis(options));
  const other = await nodeRedis({ host, port });
  const variants = [
    { label: 'ioredis', work: () => run(bare, operations) },
    { label: 'ioredis, once more', work: () => run(again, operations) },
    { label: 'aiokit, outside a task', work: () => run(ours, operations) },
    { label: 'aiokit, in a task', work: async () => createTask(() => run(ours, operations)) },
    { label: 'node-redis', work: () => run(other, operations) },
  ];
  const times = variants.map((): number[] => []);
  for (const { work } of [...variants, ...variants]) await work();
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < variants.length; i++) {
      const index = (i + round) % variants.length;
      times[index]?.push(await measure(variants[index]?.work ?? (async () => {}), operations));
    }
  }
  console.log(`\n${name}`);
  const reference = times[0] as number[];
  for (const [i, { label }] of variants.entries()) {
    const own = times[i] as number[];
    const ratio = median(own.map((time, round) => time / (reference[round] as number)));
    console.log(
      `  ${label.padEnd(24)} ${median([...own])
        .toFixed(2)
        .padStart(7)}  ${ratio.toFixed(3)}`,
    );
  }
  for (const client of [bare, again, ours]) client.disconnect();
  other.destroy();
}
