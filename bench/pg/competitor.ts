import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CONCURRENCY, CONNECTIONS, type Workload } from './workloads.ts';

/** A client of PostgreSQL in a process of its own, which works when it is asked to. */
export class Competitor {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;

  constructor(name: string, url: string) {
    const [command, args] = commandOf(name, url);
    this.child = spawn(command, args, { cwd: import.meta.dirname });
    this.child.stderr.pipe(process.stderr);
    this.answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    pin(this.child.pid, 0);
  }

  /** Does the work, and tells what CPU time an operation took, in µs. */
  async work(workload: Workload): Promise<number> {
    this.child.stdin.write(`${JSON.stringify(workload)}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error('A competitor has ended before its time');
    return Number(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.stdin.end();
    if (this.child.exitCode === null) await new Promise((resolve) => this.child.once('exit', resolve));
  }
}

const PYTHON = process.env.AIOKIT_PYTHON ?? 'python3';
const NODE = process.env.AIOKIT_NODE ?? process.execPath;

/** The version of Node that competitors run on: of this one, or of `AIOKIT_NODE`. */
export function nodeVersion(): string {
  return execFileSync(NODE, ['--version'], { encoding: 'utf8' }).trim();
}

/** Whether there is a Python that has asyncpg. */
export function hasAsyncpg(): boolean {
  return spawnSync(PYTHON, ['-c', 'import asyncpg']).status === 0;
}

/** Keeps a process (and those it starts from now on) on one core, where there is taskset: client and server then share none. */
export function pin(pid: number | undefined, core: number): void {
  try {
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    // Not on Linux, or a machine of one core: what is measured is the client's own CPU time all the same.
  }
}

function commandOf(name: string, url: string): [string, string[]] {
  if (name === 'asyncpg') return [PYTHON, ['asyncpg_process.py', url, String(CONNECTIONS), String(CONCURRENCY)]];
  const file = fileURLToPath(new URL('competitor-process.ts', import.meta.url));
  return [NODE, [...process.execArgv, file, name, url]];
}
