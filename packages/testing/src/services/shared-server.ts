/**
 * One server for all test files of a run. The files run in processes that know nothing of each other, but have the runner in common:
 * who asks first starts the server, under a lock named after the runner's process, and leaves a record for the others.
 * The server's guard lives as long as the runner, and removes the record with the server.
 */
import { createHash } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { delay } from '../real-time.ts';
import { privateDirectory } from './private-directory.ts';
import { isAlive, startTime } from './process-tree.ts';

/** What the others need to know of a server. */
export interface SharedServer {
  readonly url: string;
  readonly pid: number | undefined;
  readonly ca: string | undefined;
}

export function shareable({ url, pid, ca }: SharedServer): SharedServer {
  return { url, pid, ca };
}

/** How a shared server is started: it lives as long as this process, and this file goes with it. */
export interface SharedLife {
  readonly livesWith: number;
  readonly record: string;
}

/** The run's server of this kind with these options; started by the first who asks. */
export async function sharedServer(
  kind: string,
  options: object,
  start: (life: SharedLife) => Promise<SharedServer>,
): Promise<SharedServer> {
  const run = runnerPid();
  const key = createHash('sha256')
    .update(`${await startTime(run)} ${JSON.stringify(options)}`)
    .digest('hex')
    .slice(0, 12);
  const record = join(await privateDirectory(), `run-${run}-${kind}-${key}`);
  for (;;) {
    const found = await read(record);
    if (found) return found;
    const lock = await takeLock(`${record}.lock`);
    if (!lock) {
      await delay(20);
      continue;
    }
    try {
      return (await read(record)) ?? (await write(record, await start({ livesWith: run, record })));
    } finally {
      await rm(lock);
    }
  }
}

/** The test runner's process: this one, or the parent, where the runner has a process per test file (an IPC channel tells, node:test says so). */
function runnerPid(): number {
  const isWorker = process.connected || process.env.NODE_TEST_CONTEXT?.startsWith('child');
  return isWorker ? process.ppid : process.pid;
}

async function read(record: string): Promise<SharedServer | undefined> {
  const text = await readFile(record, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const server = JSON.parse(text) as SharedServer;
  return server.pid === undefined || (await isAlive(server.pid)) ? server : undefined;
}

async function write(record: string, server: SharedServer): Promise<SharedServer> {
  const draft = draftOf(record);
  await writeFile(draft, JSON.stringify(server));
  await rename(draft, record);
  return server;
}

/**
 * The lock's file, or undefined while a living process has it. Two who find a dead one's lock at the same moment may both come
 * through: then two servers start, one is found by the others, both end with the run.
 */
async function takeLock(lock: string): Promise<string | undefined> {
  const draft = draftOf(lock);
  await writeFile(draft, String(process.pid));
  try {
    await link(draft, lock); // appears at once and whole, or not at all
    return lock;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const holder = Number(await readFile(lock, 'utf8').catch(() => Number.NaN));
    if (Number.isInteger(holder) && !(await isAlive(holder))) await rm(lock, { force: true });
    return undefined;
  } finally {
    await rm(draft);
  }
}

function draftOf(file: string): string {
  return `${file}.${process.pid}.${threadId}`;
}
