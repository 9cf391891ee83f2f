/** One instance of a fleet, as a process of its own: fleet-processes.test.ts starts and kills it. */
import { writeSync } from 'node:fs';
import { detached, run, sleep } from '@aiokit/core';
import type { Backend, Engine } from '../src/fleet/engine.ts';
import { Scheduler } from '../src/index.ts';
import { backendOn } from './fleet-engines.ts';
import type { CALLS, InstanceOptions, Step } from './fleet-instance-options.ts';

await main(JSON.parse(process.argv[2] as string) as InstanceOptions);

async function main(options: InstanceOptions): Promise<void> {
  const {
    engine,
    url,
    jobs,
    work,
    skew,
    lockDuration,
    queue = 'processes',
    misfire = 'all',
    dieAt,
    dieWhenOver,
  } = options;
  const rightNow = Date.now;
  Date.now = () => rightNow() + skew;
  let backend = backendOn(engine, url, { lockDuration, queue });
  if (dieAt !== undefined) backend = dying(backend, dieAt);
  if (dieWhenOver) backend = dyingWhenOver(backend);
  await run(async () => {
    const scheduler = new Scheduler({
      backend,
      misfire,
      overlap: 'concurrent',
      grace: 600_000,
    });
    for (const [name, period] of Object.entries(jobs)) {
      scheduler.interval(period, { name }).do(async ({ scheduledFor }) => {
        // Synchronously: what was written is there even if the process is killed in the next moment.
        writeSync(1, `begin ${name}@${+scheduledFor}\n`);
        await sleep(work);
        writeSync(1, `end ${name}@${+scheduledFor}\n`);
      });
    }
    await scheduler.runForever();
  });
}

function dying(backend: Backend, step: Step): Backend {
  const [when, call] = step.split(' ') as ['before' | 'after', (typeof CALLS)[number]];
  let left = call === 'declare' ? 1 : 3;
  const around =
    <A extends unknown[], R>(name: string, request: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const isTheOne = name === call && --left === 0;
      if (isTheOne && when === 'before') die();
      const answer = await request(...args);
      if (isTheOne) die();
      return answer;
    };
  const watched = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name, object) as unknown;
        if (name === 'board') return watched(value as object);
        if (name === 'open') {
          return (take: Parameters<Engine['open']>[0], onError: Parameters<Engine['open']>[1]) =>
            (object as Engine).open(around('verdict', take), onError);
        }
        return typeof value === 'function' ? around(String(name), value.bind(object)) : value;
      },
    });
  return { requireKept: (ms) => backend.requireKept(ms), connect: () => watched(backend.connect()) };
}

function dyingWhenOver(backend: Backend): Backend {
  const connect = () => {
    const engine = backend.connect();
    const open = engine.open.bind(engine);
    const enqueue = engine.enqueue.bind(engine);
    let isFirst = true;
    engine.enqueue = async (...args) => {
      if (!isFirst) await detached(() => sleep(300));
      isFirst = false;
      await enqueue(...args);
    };
    const dieWhenOver = async (job: string, at: number) => {
      while ((await engine.known(job, [at])).get(at) !== 'over') await sleep(1);
      die();
    };
    engine.open = (take, onError) =>
      open(async (occurrence) => {
        const verdict = await take(occurrence);
        if (verdict === 'finished') detached(() => void dieWhenOver(occurrence.job, occurrence.at));
        return verdict;
      }, onError);
    return engine;
  };
  return { requireKept: (ms) => backend.requireKept(ms), connect };
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
  for (;;); // The signal takes a moment: not one step more.
}
