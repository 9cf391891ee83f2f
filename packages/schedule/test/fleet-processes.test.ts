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
import { ENGINES, type EngineName, startEngine, type TestEngine } from './fleet-engines.ts';
import { CALLS, type InstanceOptions, type Step } from './fleet-instance-options.ts';

const SECONDS = Number(process.env.AIOKIT_FLEET_SECONDS ?? 6);
const PERIOD = 250;
const JOBS = Object.fromEntries(Array.from({ length: SECONDS > 30 ? 20 : 6 }, (_, i) => [`job${i}`, PERIOD]));
const COUNT = Object.keys(JOBS).length;

class Instance {
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  isKilled = false;
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;

  constructor(options: InstanceOptions) {
    const program = fileURLToPath(new URL('fleet-instance.ts', import.meta.url));
    const args = ['--conditions=@aiokit/source', program, JSON.stringify(options)];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = once(this.child, 'close');
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
    this.isKilled ||= signal === 'SIGKILL';
    this.child.kill(signal);
    await this.exited;
  }

  /** By its own hand. */
  async dies(): Promise<void> {
    await this.exited;
    expect(this.child.signalCode).toBe('SIGKILL');
    this.isKilled = true;
  }
}

type Start = (options?: Partial<InstanceOptions>) => Instance;

async function fleet(
  engine: EngineName,
  lockDuration: number,
  body: (start: Start, all: Instance[], server: TestEngine) => Promise<void>,
): Promise<Instance[]> {
  const server = await startEngine(engine);
  const all: Instance[] = [];
  try {
    await body(
      (options) => {
        const common = { engine, url: server.url, jobs: JOBS, work: 30, skew: 0, lockDuration };
        const instance = new Instance({ ...common, ...options });
        all.push(instance);
        return instance;
      },
      all,
      server,
    );
  } finally {
    for (const instance of all) await instance.end('SIGTERM');
    await server[Symbol.asyncDispose]();
  }
  return all;
}

const timeOf = (occurrence: string) => Number(occurrence.split('@')[1]);

/** Each occurrence from a second after the first, when all instances have all jobs, to this moment. */
function expected(
  ended: string[],
  until: number,
  jobs = JOBS,
  from = Math.min(...ended.map(timeOf)) + 1_000,
): string[] {
  return Object.entries(jobs).flatMap(([job, period]) => {
    const first = Math.ceil(from / period) * period;
    return Array.from(
      { length: Math.max(0, Math.floor((until - first) / period) + 1) },
      (_, i) => `${job}@${first + i * period}`,
    );
  });
}

/** A loaded machine is behind; what is lost never ends, and then the test ends by its time limit. */
async function allEnded(instances: Instance[], until: number, jobs = JOBS, from?: number): Promise<void> {
  for (;;) {
    const ended = new Set(instances.flatMap((instance) => instance.ended));
    if (expected([...ended], until, jobs, from).every((occurrence) => ended.has(occurrence))) return;
    await sleep(200);
  }
}

const timesSeen = (occurrences: string[]) => {
  const counts = new Map<string, number>();
  for (const occurrence of occurrences) counts.set(occurrence, (counts.get(occurrence) ?? 0) + 1);
  return counts;
};

/** What ran to its end twice, though nobody died who had begun it. */
function twiceWithoutCause(all: Instance[]): string[] {
  // A run that had ended, but not yet in the engine, is begun again, too.
  const excused = new Set(all.filter(({ isKilled }) => isKilled).flatMap(({ begun }) => begun));
  const counts = timesSeen(all.flatMap(({ ended }) => ended));
  return [...counts].flatMap(([run, count]) => (count > 1 && !excused.has(run) ? [run] : []));
}

function missing(all: Instance[], wanted: string[]): string[] {
  const seen = new Set(all.flatMap(({ ended }) => ended));
  return wanted.filter((occurrence) => !seen.has(occurrence));
}

describe.each(ENGINES)('three processes on %s', (engine) => {
  const timeout = SECONDS * 3_000 + 240_000;
  const shortLock = engine === 'bullmq' ? 5_000 : 10_000;

  it('with clocks that differ run each occurrence exactly once', { timeout }, async () => {
    let until = 0;
    // A lock that a process which gets no CPU for a while does not lose: then a run would rightly begin again.
    const all = await fleet(engine, 30_000, async (start) => {
      const instances = [0, 2_000, -2_000].map((skew) => start({ skew }));
      await Promise.all(instances.map((instance) => instance.begins()));
      await sleep(SECONDS * 1_000);
      until = Date.now();
      await allEnded(instances, until);
    });
    const ended = all.flatMap((instance) => instance.ended);
    const counts = timesSeen(ended);
    const wanted = expected(ended, until);
    expect(missing(all, wanted)).toEqual([]);
    expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
    // What the shutdown at the end interrupts is given back, and begun again by another instance; nothing else is.
    const begun = timesSeen(all.flatMap((instance) => instance.begun));
    const beforeTheEnd = new Set(wanted);
    expect([...begun].filter(([run, count]) => count > 1 && beforeTheEnd.has(run))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(COUNT * 8);
    console.log(
      `${engine}: ${counts.size} occurrences, each once; by instance ${all.map(({ ended }) => ended.length)}`,
    );
  });

  it('one alone, whose clock is fast or slow by more than the interval, misses none', { timeout }, async () => {
    const all = await fleet(engine, 30_000, async (start) => {
      const jobs = { slowly: 1_000 };
      const both = [3_500, -3_500].map((skew) => start({ jobs, skew, misfire: 'once', queue: `skewed${skew}` }));
      while (both.some(({ ended }) => ended.length < 5)) await sleep(50);
    });
    for (const { ended } of all) expect(new Set(ended).size).toBe(ended.length);
  });

  it('of which some are killed, run each at least once, and the others once', { timeout }, async () => {
    let until = 0;
    const all = await fleet(engine, shortLock, async (start, all) => {
      const instances = [0, 1_000, -1_000].map((skew) => start({ skew }));
      await Promise.all(instances.map((instance) => instance.begins()));
      const enough = Date.now() + SECONDS * 1_000;
      for (let kills = 0; kills < 3 || Date.now() < enough; kills++) {
        await sleep(900 + Math.random() * 200);
        await (instances.shift() as Instance).end('SIGKILL');
        instances.push(start());
        await instances.at(-1)?.begins();
      }
      until = Date.now();
      await allEnded(all, until);
    });
    expect(twiceWithoutCause(all)).toEqual([]);
    report(`${all.filter(({ isKilled }) => isKilled).length} killed`, all, until);
  });

  it('of which one is killed at each step, run each at least once, and the others once', { timeout }, async () => {
    let until = 0;
    const steps = CALLS.flatMap((call): Step[] => [`before ${call}`, `after ${call}`]);
    const all = await fleet(engine, shortLock, async (start, all) => {
      const steady = start();
      await steady.begins();
      // Two at a time: it is started processes that take the time.
      for (let i = 0; i < steps.length; i += 2) {
        await Promise.all(steps.slice(i, i + 2).map((dieAt) => start({ dieAt }).dies()));
      }
      until = Date.now();
      await allEnded(all, until);
    });
    expect(twiceWithoutCause(all)).toEqual([]);
    report(`killed at ${steps.length} steps`, all, until);
  });

  it('that are all killed before they have planned what comes next lose nothing that was due meanwhile', {
    timeout,
  }, async () => {
    const jobs = { chained: 1_000 };
    let until = 0;
    const all = await fleet(engine, shortLock, async (start, all) => {
      await start({ jobs, work: 0, dieWhenOver: true }).dies();
      await sleep(3_000);
      until = Date.now();
      start({ jobs, work: 0 });
      await allEnded(all, until, jobs, Math.min(...all.flatMap(({ ended }) => ended).map(timeOf)));
    });
    expect(twiceWithoutCause(all)).toEqual([]);
  });

  it('lose nothing when the engine is killed and started again', { timeout }, async () => {
    let until = 0;
    const outages: { from: number; to: number }[] = [];
    const all = await fleet(engine, 30_000, async (start, all, server) => {
      const instances = [0, 1_000, -1_000].map((skew) => start({ skew }));
      await Promise.all(instances.map((instance) => instance.begins()));
      const enough = Date.now() + SECONDS * 1_000;
      while (outages.length < 2 || Date.now() < enough) {
        await sleep(2_000 + Math.random() * 200);
        const from = Date.now();
        await server.restart();
        outages.push({ from, to: Date.now() });
      }
      await sleep(2_000);
      until = Date.now();
      await allEnded(all, until);
    });
    // What was under way when the engine went down may have ended without its knowledge.
    const isExcused = (at: number) => outages.some(({ from, to }) => at > from - 5_000 && at < to + 5_000);
    expect(twiceWithoutCause(all).filter((run) => !isExcused(timeOf(run)))).toEqual([]);
    report(`engine killed ${outages.length} times, ${twiceWithoutCause(all).length} runs twice`, all, until);
  });

  it('in a rolling deploy with other schedules leave neither duplicates nor ghosts', { timeout }, async () => {
    const v1 = { stays: PERIOD, changed: PERIOD, removed: PERIOD };
    const v2 = { stays: PERIOD, changed: 400, added: PERIOD };
    let changedAt = 0;
    let deployedAt = 0;
    let until = 0;
    const fresh: Instance[] = [];
    const all = await fleet(engine, 30_000, async (start, all) => {
      const old = [0, 1_000, -1_000].map((skew) => start({ skew, jobs: v1 }));
      await Promise.all(old.map((instance) => instance.begins()));
      await sleep(2_000);
      for (const instance of old) {
        const next = start({ jobs: v2 });
        fresh.push(next);
        await next.begins();
        changedAt ||= Date.now(); // It declared its rules before.
        await sleep(300);
        await instance.end('SIGTERM');
      }
      deployedAt = Date.now();
      await sleep(3_000);
      until = Date.now();
      await allEnded(all, until, { stays: PERIOD });
      await allEnded(all, until, v2, deployedAt);
    });
    expect(twiceWithoutCause(all)).toEqual([]);
    const ran = (job: string, instances = all) =>
      instances.flatMap(({ ended }) => ended.filter((run) => run.startsWith(job)).map(timeOf));
    expect(ran('removed', fresh)).toEqual([]);
    expect(Math.max(...ran('removed'))).toBeLessThan(deployedAt + PERIOD);
    // By the new rule alone, from when an instance of the new version has begun.
    expect(ran('changed').filter((at) => at > changedAt + 500 && at % 400 !== 0)).toEqual([]);
    expect(ran('added').length).toBeGreaterThan(8);
  });

  function report(what: string, all: Instance[], until: number): void {
    const ended = all.flatMap((instance) => instance.ended);
    const begunTwice = [...timesSeen(all.flatMap(({ begun }) => begun)).values()].filter((count) => count > 1).length;
    console.log(`${engine}: ${what}, ${expected(ended, until).length} occurrences, ${begunTwice} begun again`);
  }
});
