/**
 * A fleet of processes on a real engine, with clocks that differ by seconds: nothing is left out, and nothing runs twice but
 * what somebody was killed over. AIOKIT_FLEET_SECONDS=130 makes it more than 10,000 occurrences a test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sleep } from '@aiokit/core';
import { describe, expect, it } from 'vitest';
import { ENGINES, type EngineName, startEngine } from './fleet-engines.ts';
import type { InstanceOptions } from './fleet-instance.ts';

const SECONDS = Number(process.env.AIOKIT_FLEET_SECONDS ?? 6);
const JOBS = SECONDS > 30 ? 20 : 6;
const PERIOD = 250;

class Instance {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;

  constructor(options: InstanceOptions) {
    const program = fileURLToPath(new URL('fleet-instance.ts', import.meta.url));
    const args = ['--conditions=@aiokit/source', program, JSON.stringify(options)];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = once(this.child, 'exit');
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const [what, occurrence] = line.split(' ') as [string, string];
      (what === 'begin' ? this.begun : this.ended).push(occurrence);
    });
    this.child.stderr?.resume();
  }

  async begins(): Promise<void> {
    while (this.begun.length === 0) await sleep(20);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    await this.exited;
  }
}

async function fleet(
  engine: EngineName,
  lockDuration: number,
  body: (start: (skew: number) => Instance) => Promise<void>,
): Promise<Instance[]> {
  const server = await startEngine(engine);
  const all: Instance[] = [];
  try {
    await body((skew) => {
      const instance = new Instance({
        engine,
        url: server.url,
        jobs: JOBS,
        period: PERIOD,
        work: 30,
        skew,
        lockDuration,
      });
      all.push(instance);
      return instance;
    });
  } finally {
    for (const instance of all) await instance.end('SIGTERM');
    await server[Symbol.asyncDispose]();
  }
  return all;
}

/** Each occurrence from a second after the first, when all instances have all jobs, to this moment. */
function expected(ended: string[], until: number): string[] {
  const times = ended.map((occurrence) => Number(occurrence.split('@')[1]));
  const first = Math.min(...times) + 1_000;
  const all: string[] = [];
  for (let at = Math.ceil(first / PERIOD) * PERIOD; at <= until; at += PERIOD) {
    for (let job = 0; job < JOBS; job++) all.push(`job${job}@${at}`);
  }
  return all;
}

/** A loaded machine is behind; what is lost never ends, and then the test ends by its time limit. */
async function allEnded(instances: Instance[], until: number): Promise<void> {
  for (;;) {
    const ended = new Set(instances.flatMap((instance) => instance.ended));
    if (expected([...ended], until).every((occurrence) => ended.has(occurrence))) return;
    await sleep(200);
  }
}

const timesSeen = (occurrences: string[]) => {
  const counts = new Map<string, number>();
  for (const occurrence of occurrences) counts.set(occurrence, (counts.get(occurrence) ?? 0) + 1);
  return counts;
};

describe.each(ENGINES)('three processes on %s', (engine) => {
  const timeout = SECONDS * 1_500 + 120_000;

  it('with clocks that differ run each occurrence exactly once', { timeout }, async () => {
    let until = 0;
    // A lock that a process which gets no CPU for a while does not lose: then a run would rightly begin again.
    const all = await fleet(engine, 30_000, async (start) => {
      const instances = [0, 2_000, -2_000].map(start);
      await Promise.all(instances.map((instance) => instance.begins()));
      await sleep(SECONDS * 1_000);
      until = Date.now();
      await allEnded(instances, until);
    });
    const ended = all.flatMap((instance) => instance.ended);
    const counts = timesSeen(ended);
    const wanted = expected(ended, until);
    expect(wanted.filter((occurrence) => !counts.has(occurrence))).toEqual([]);
    expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
    // What the shutdown at the end interrupts is given back, and begun again by another instance; nothing else is.
    const begun = timesSeen(all.flatMap((instance) => instance.begun));
    const beforeTheEnd = new Set(wanted);
    expect([...begun].filter(([run, count]) => count > 1 && beforeTheEnd.has(run))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(JOBS * 8);
    console.log(
      `${engine}: ${counts.size} occurrences, each once; by instance ${all.map(({ ended }) => ended.length)}`,
    );
  });

  it('one alone, whose clock is fast or slow by more than the interval, misses none', { timeout: 60_000 }, async () => {
    const server = await startEngine(engine);
    const common = {
      engine,
      url: server.url,
      jobs: 1,
      period: 1_000,
      work: 10,
      lockDuration: 30_000,
      misfire: 'once',
    } as const;
    const all = [3_500, -3_500].map((skew) => new Instance({ ...common, skew, queue: `skewed${skew}` }));
    try {
      while (all.some(({ ended }) => ended.length < 5)) await sleep(50);
    } finally {
      for (const instance of all) await instance.end('SIGTERM');
      await server[Symbol.asyncDispose]();
    }
    for (const { ended } of all) expect(new Set(ended).size).toBe(ended.length);
  });

  it('of which some are killed, run each at least once, and the others once', { timeout }, async () => {
    const lockDuration = engine === 'bullmq' ? 5_000 : 10_000;
    const killed: Instance[] = [];
    let until = 0;
    const all = await fleet(engine, lockDuration, async (start) => {
      const instances = [0, 1_000, -1_000].map(start);
      await Promise.all(instances.map((instance) => instance.begins()));
      for (let i = 0; i < Math.max(3, SECONDS / 20); i++) {
        await sleep(900 + Math.random() * 200);
        const victim = instances.shift() as Instance;
        killed.push(victim);
        await victim.end('SIGKILL');
        instances.push(start(0));
        await (instances.at(-1) as Instance).begins();
      }
      // Until the locks of the dead have run out, and somebody has looked.
      await sleep(2 * lockDuration + 3_000);
      until = Date.now();
      await allEnded([...killed, ...instances], until);
    });
    const ended = all.flatMap((instance) => instance.ended);
    const interrupted = new Set(killed.flatMap(({ begun, ended }) => begun.filter((run) => !ended.includes(run))));
    const lastWords = new Set(killed.flatMap(({ ended }) => ended.slice(-JOBS)));
    const wanted = expected(ended, until);
    const seen = new Set(ended);
    expect(wanted.filter((occurrence) => !seen.has(occurrence))).toEqual([]);
    // A run that had ended, but not yet in the engine, is begun again, too.
    const twice = [...timesSeen(ended)].filter(
      ([run, count]) => count > 1 && !interrupted.has(run) && !lastWords.has(run),
    );
    expect(twice).toEqual([]);
    console.log(
      `${engine}: ${killed.length} killed, ${interrupted.size} runs interrupted, ${wanted.length} occurrences`,
    );
  });
});
