/**
 * How late 1,000 jobs of every second begin, and what a job costs that does nothing: @aiokit/schedule beside croner,
 * node-cron and toad-scheduler. Each in a process of its own, so that none waits for another's jobs.
 *
 *   node --conditions=@aiokit/source --expose-gc schedule.bench.ts [seconds]
 */
import { spawnSync } from 'node:child_process';
import { Scheduler } from '@aiokit/schedule';
import { Cron } from 'croner';
import cron from 'node-cron';
import { SimpleIntervalJob, Task, ToadScheduler } from 'toad-scheduler';

const JOBS = 1_000;
const IDLE_JOBS = 100_000;
/** croner and node-cron keep a parsed expression per job: 100,000 do not fit in 4 GB. */
const IDLE_JOBS_OF_PEERS = 5_000;

/** On a loaded machine node-cron writes a line for each run that it leaves out. */
const silent = { info() {}, warn() {}, error() {}, debug() {} };

/** Starts `count` jobs; `tick` is told how many ms late a run begins. Returns what ends them all. */
type Start = (count: number, tick: (lateBy: number) => void, isIdle: boolean) => () => void;

const PEERS: Record<string, Start> = {
  '@aiokit/schedule': (count, tick, isIdle) => {
    const scheduler = new Scheduler();
    for (let i = 0; i < count; i++) {
      const job = isIdle ? scheduler.every(1).hours : scheduler.every(1).seconds;
      job.do(({ scheduledFor }) => tick(Date.now() - scheduledFor.getTime()));
    }
    scheduler.start();
    return () => void scheduler.stop();
  },
  '@aiokit/schedule cron': (count, tick, isIdle) => {
    const scheduler = new Scheduler({ timeZone: 'UTC' });
    for (let i = 0; i < count; i++) {
      scheduler
        .cron(isIdle ? '0 0 * * * *' : '* * * * * *')
        .do(({ scheduledFor }) => tick(Date.now() - scheduledFor.getTime()));
    }
    scheduler.start();
    return () => void scheduler.stop();
  },
  croner: (count, tick, isIdle) => {
    const options = { timezone: 'UTC' };
    const jobs = Array.from(
      { length: count },
      () => new Cron(isIdle ? '0 0 * * * *' : '* * * * * *', options, () => tick(Date.now() % 1_000)),
    );
    return () => jobs.forEach((job) => void job.stop());
  },
  'node-cron': (count, tick, isIdle) => {
    const jobs = Array.from({ length: count }, () =>
      cron.schedule(isIdle ? '0 0 * * * *' : '* * * * * *', () => tick(Date.now() % 1_000), { logger: silent }),
    );
    return () => jobs.forEach((job) => void job.stop());
  },
  'toad-scheduler': (count, tick, isIdle) => {
    const scheduler = new ToadScheduler();
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now();
      let runs = 0;
      // It has no times, only intervals: late is what it has drifted.
      const task = new Task(`task ${i}`, () => tick(performance.now() - startedAt - ++runs * 1_000));
      scheduler.addSimpleIntervalJob(new SimpleIntervalJob(isIdle ? { hours: 1 } : { seconds: 1 }, task));
    }
    return () => scheduler.stop();
  },
};

const [seconds = '60', peer] = process.argv.slice(2);
if (peer === undefined) {
  console.log(
    `${JOBS} jobs of every second, for ${seconds} s; then idle jobs: ${IDLE_JOBS}, of peers ${IDLE_JOBS_OF_PEERS}`,
  );
  console.log(
    'late by (ms)            p50    p99    max   runs   CPU/run (µs)   idle: bytes/job  add (µs/job)  timers',
  );
  for (const name of Object.keys(PEERS)) {
    spawnSync(process.execPath, [...process.execArgv, import.meta.filename, seconds, name], { stdio: 'inherit' });
  }
} else {
  await measure(peer, PEERS[peer] as Start);
}

async function measure(name: string, start: Start): Promise<void> {
  const late: number[] = [];
  const stop = start(JOBS, (ms) => late.push(ms), false);
  await pause(1_500);
  late.length = 0;
  const before = process.cpuUsage();
  await pause(Number(seconds) * 1_000);
  const { user, system } = process.cpuUsage(before);
  const runs = late.length;
  stop();
  late.sort((a, b) => a - b);
  const at = (part: number) => (late[Math.min(runs - 1, Math.floor(runs * part))] ?? Number.NaN).toFixed(1).padStart(6);

  const idle = name.startsWith('@aiokit') ? IDLE_JOBS : IDLE_JOBS_OF_PEERS;
  globalThis.gc?.();
  const heap = process.memoryUsage().heapUsed;
  const timers = timersOf();
  const began = performance.now();
  const stopIdle = start(idle, () => {}, true);
  const took = performance.now() - began;
  await pause(100);
  globalThis.gc?.();
  const bytes = Math.round((process.memoryUsage().heapUsed - heap) / idle);
  const columns = [
    name.padEnd(21),
    at(0.5),
    at(0.99),
    at(1),
    String(runs).padStart(6),
    ((user + system) / runs).toFixed(1).padStart(14),
    String(bytes).padStart(17),
    ((took / idle) * 1_000).toFixed(1).padStart(13),
    String(timersOf() - timers).padStart(7),
  ];
  console.log(columns.join(' '));
  stopIdle();
  process.exit();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function timersOf(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}
