/** Three things are cancelled in the middle; what is left of them is measured on the servers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createTask, sleep, until, wait } from '@aiokit/core';
import type { Crawler, Places } from './crawl.ts';
import { countHalfWritten } from './inventory.ts';
import { eventually, type Observer } from './observer.ts';

export interface Proof {
  readonly what: string;
  /** What the servers said. */
  readonly seen: string;
  /** From the cancel until it was seen, in ms. */
  readonly ms: number;
  readonly holds: boolean;
}

/** A client leaves in the middle of a query of 30 seconds. */
export async function clientLeaves(serverUrl: string, observer: Observer): Promise<Proof> {
  const request = get(`${serverUrl}/slow`).on('error', () => {});
  await eventually('the query runs', async () => (await observer.running('pg_sleep(30)')) === 1);
  request.destroy();
  const ms = await eventually('the query is gone', async () => (await observer.running('pg_sleep(30)')) === 0);
  return { what: 'a client leaves during pg_sleep(30)', seen: 'query gone from pg_stat_activity', ms, holds: true };
}

/** A blocked BLPOP is cancelled; then a hundred more, each with an element that is pushed right after the cancel. */
export async function blockedReadIsCancelled({ redis }: Crawler, name: string, observer: Observer): Promise<Proof> {
  const read = () => redis.blpop('jobs', 0);
  const isBlocked = async () => (await observer.blocked(name)) === 1;

  const reading = createTask(read);
  await eventually('BLPOP blocks', isBlocked);
  reading.cancel();
  const ms = await eventually('BLPOP is unblocked', async () => !(await isBlocked()));
  await wait([reading]);

  const elements = { pushed: 0, delivered: 0, inList: 0, lost: 0 };
  while (elements.pushed < 100) {
    const racing = createTask(read);
    await eventually('BLPOP blocks', isBlocked);
    racing.cancel();
    if (elements.pushed % 2 === 0) await sleep(1); // One push is faster than the cancel's way to the server, the next one is not.
    await observer.redis.rpush('jobs', ++elements.pushed);
    await wait([racing]);
    const isInList = (await observer.redis.lpop('jobs')) !== null;
    if (isInList) elements.inList++;
    else if (!racing.cancelled() && racing.result() !== null) elements.delivered++;
    else elements.lost++;
  }
  const { pushed, delivered, inList, lost } = elements;
  return {
    what: 'a blocked BLPOP is cancelled',
    seen: `unblocked in CLIENT LIST; ${pushed} elements pushed right after: ${delivered} delivered, ${inList} in the list, ${lost} lost`,
    ms,
    holds: lost === 0,
  };
}

/** SIGINT in the middle of a crawl, in a process of its own that the servers know by another name. */
export async function crawlIsInterrupted({ pool }: Crawler, places: Places, observer: Observer): Promise<Proof> {
  const enough = Math.ceil((await observer.packages()) / 4);
  await pool.query('truncate packages, dependencies');
  const script = fileURLToPath(new URL('crawler-process.ts', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, script, JSON.stringify(places)], { stdio: 'inherit' });
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals]>;
  try {
    await eventually('a quarter is saved', async () => (await observer.packages()) >= enough);
    child.kill('SIGINT');
    const ms = await eventually(
      'its connections are gone',
      async () => (await observer.connections(places.name)) === 0,
    );
    const [status, signal] = await until(exit);
    const exitCode = status ?? 128 + constants.signals[signal];
    const saved = await observer.packages();
    const halfWritten = await countHalfWritten(pool);
    return {
      what: 'SIGINT in the middle of a crawl',
      seen: `exit code ${exitCode}; ${saved} packages saved, ${halfWritten} half-written; no connection left`,
      ms,
      holds: exitCode === 130 && halfWritten === 0,
    };
  } finally {
    child.kill('SIGKILL'); // If we are interrupted ourselves. One that has ended does not mind.
  }
}
