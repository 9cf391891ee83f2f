/**
 * Core against bare promises, and against its peers, on the same work in one run: CPU time per operation, rounds interleaved,
 * medians. The ratios are what counts; the machine is noisy.
 */
import { spawnSync } from 'node:child_process';
import { run } from '@aiokit/core';
import { aiokit } from './core/aiokit.ts';
import { bare } from './core/bare.ts';
import { effect } from './core/effect.ts';
import { effection } from './core/effection.ts';
import { sleepers } from './core/sleepers.ts';
import { type Competitor, WORKLOADS, type Workload } from './core/workloads.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 15);
/** Each round of a competitor goes on for so many ms of CPU, that the clock can tell. */
const ROUND_MS = 20;
const LIMITS: Partial<Record<Workload, number>> = {
  'spawn + join, one after another': 3,
  'cancel + join with finally': 2.5,
  'queue of 10, bounded': 3,
};

const competitors: Record<string, Competitor> = { bare, aiokit, effect, effection };
const python = pythonFigures();

console.log(`Node ${process.versions.node}: CPU µs per operation; in brackets, against bare promises (the bar).`);
const names = [...Object.keys(competitors), ...Object.keys(python)];
console.log(['workload'.padEnd(34), ...names.map((name) => name.padStart(16))].join(''));
for (const workload of Object.keys(WORKLOADS) as Workload[]) {
  const medians = await measure(workload);
  for (const [name, figures] of Object.entries(python)) medians[name] = figures[workload];
  const base = medians.bare ?? Number.NaN;
  const cells = names.map((name) => {
    const bar = name === 'aiokit' ? `/${LIMITS[workload] ?? 2}` : '';
    return `${(medians[name] ?? Number.NaN).toFixed(2)} (${((medians[name] ?? Number.NaN) / base).toFixed(1)}${bar})`.padStart(
      16,
    );
  });
  console.log([workload.padEnd(34), ...cells].join(''));
}
await sleepers();
for (const name of ['asyncio', 'uvloop']) if (!(name in python)) console.log(`${name}: not installed, left out`);

async function measure(workload: Workload): Promise<Record<string, number | undefined>> {
  const rounds: Record<string, number[]> = {};
  for (let round = -2; round < ROUNDS; round++) {
    for (const [name, competitor] of Object.entries(competitors)) {
      const work = competitor[workload];
      // Core inside a loop of its own, as its users do.
      const cpu = await (name === 'aiokit'
        ? run(() => cpuPerOp(work, workload), { handleSignals: false })
        : cpuPerOp(work, workload));
      if (round >= 0) (rounds[name] ??= []).push(cpu);
    }
  }
  return Object.fromEntries(Object.entries(rounds).map(([name, figures]) => [name, median(figures)]));
}

async function cpuPerOp(work: () => Promise<unknown>, workload: Workload): Promise<number> {
  const start = process.cpuUsage();
  let count = 0;
  let spent = 0;
  do {
    await work();
    count++;
    const { user, system } = process.cpuUsage(start);
    spent = user + system;
  } while (spent < ROUND_MS * 1000);
  return spent / count / WORKLOADS[workload];
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] as number;
}

function pythonFigures(): Record<string, Record<string, number>> {
  for (const python of ['python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3']) {
    const { status, stdout } = spawnSync(python, ['core/peers.py'], { cwd: import.meta.dirname, encoding: 'utf8' });
    if (status === 0) return JSON.parse(stdout);
  }
  return {};
}
