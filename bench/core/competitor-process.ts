/** `node competitor-process.ts <name>`: one competitor's figures, in a process of its own, as JSON. */
import { run } from '@aiokit/core';
import { type Competitor, WORKLOADS, type Workload } from './workloads.ts';

/** Each round goes on for so many ms of CPU, that the clock can tell. */
const ROUND_MS = 20;
const WARM_UP = 15;
const ROUNDS = 15;

const name = process.argv[2] as string;
const { [name]: competitor } = (await import(`./${name}.ts`)) as { [name]: Competitor };
const medians: Partial<Record<Workload, number>> = {};
for (const workload of Object.keys(WORKLOADS) as Workload[]) {
  const rounds: number[] = [];
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const measure = () => cpuPerOp((competitor as Competitor)[workload], workload);
    // Core inside a loop of its own, as its users do.
    const cpu = await (name === 'aiokit' ? run(measure, { handleSignals: false }) : measure());
    if (round >= 0) rounds.push(cpu);
  }
  medians[workload] = rounds.toSorted((a, b) => a - b)[ROUNDS >> 1] as number;
}
console.log(JSON.stringify(medians));
process.exit(); // What a competitor has left open is its own.

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
