/** One instance of a fleet, as a process of its own: fleet-processes.test.ts starts and kills it. */
import { writeSync } from 'node:fs';
import { run, sleep } from '@aiokit/core';
import { Scheduler } from '../src/index.ts';
import { backendOn, type EngineName } from './fleet-engines.ts';

export interface InstanceOptions {
  engine: EngineName;
  url: string;
  jobs: number;
  /** Ms between two occurrences of a job. */
  period: number;
  /** How long a run takes, in ms. */
  work: number;
  /** How wrong its clock is, in ms. */
  skew: number;
  lockDuration: number;
  queue?: string;
  misfire?: 'once' | 'all';
}

const options = JSON.parse(process.argv[2] as string) as InstanceOptions;
const { engine, url, jobs, period, work, skew, lockDuration, queue = 'processes', misfire = 'all' } = options;
const rightNow = Date.now;
Date.now = () => rightNow() + skew;

await run(async () => {
  const scheduler = new Scheduler({
    backend: backendOn(engine, url, { lockDuration, queue }),
    misfire,
    overlap: 'concurrent',
    grace: 600_000,
  });
  for (let i = 0; i < jobs; i++) {
    scheduler.interval(period, { name: `job${i}` }).do(async ({ job, scheduledFor }) => {
      // Synchronously: what was written is there even if the process is killed in the next moment.
      writeSync(1, `begin ${job.name}@${+scheduledFor}\n`);
      await sleep(work);
      writeSync(1, `end ${job.name}@${+scheduledFor}\n`);
    });
  }
  await scheduler.runForever();
});
