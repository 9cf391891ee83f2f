import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { eventually } from '../real-time.ts';

const run = promisify(execFile);

/** The direct children of a process. Linux tells in /proc (slim images have no `ps`), others through `ps`. */
export async function childrenOf(pid: number): Promise<number[]> {
  const table = process.platform === 'linux' ? await processesFromProc() : await processesFromPs();
  return table.filter((entry) => entry.parent === pid).map((entry) => entry.pid);
}

/** Whether a process runs. One that ended and was not collected yet (a zombie) holds nothing any more, and does not count. */
export async function isAlive(pid: number): Promise<boolean> {
  const state = await stateOf(pid);
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Stops a process where it is. The signal takes its time: on return the process does nothing more until SIGCONT. */
export async function freeze(pid: number): Promise<void> {
  signal(pid, 'SIGSTOP');
  const frozen = await eventually(async () => ['T', 'Z', 'X', undefined].includes(await stateOf(pid)), {
    every: 1,
    limit: 5_000,
  });
  if (!frozen) throw new Error(`Process ${pid} still runs 5 s after SIGSTOP.`);
}

/** One letter, as `ps` shows it: T stopped, Z ended and not collected. Undefined for a process that is gone. */
async function stateOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return (await readStat(pid))?.[0];
  const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.trim()[0];
}

/** When a process started, in whatever unit: with its pid, what no other process of this machine has. */
export async function startTime(pid: number): Promise<string> {
  if (process.platform === 'linux') return (await readStat(pid))?.[19] ?? '';
  return (await run('ps', ['-o', 'lstart=', '-p', String(pid)])).stdout.trim();
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

interface Entry {
  readonly pid: number;
  readonly parent: number;
}

async function processesFromProc(): Promise<Entry[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const entries = await Promise.all(
    pids.map(async (pid) => ({ pid, parent: Number((await readStat(pid))?.[1] ?? -1) })),
  );
  return entries;
}

/** The fields of /proc/PID/stat from the state on: what stands before (the name, in brackets) may hold anything. */
async function readStat(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

async function processesFromPs(): Promise<Entry[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = -1, parent = -1]) => ({ pid, parent }));
}
