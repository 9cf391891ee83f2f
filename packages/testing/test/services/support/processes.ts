import { execFileSync } from 'node:child_process';

// By `ps`, not by the code under test.

/** The ids of the processes that a process has started. */
export function processesUnder(pid: number): number[] {
  return table()
    .filter(([, parent]) => Number(parent) === pid)
    .map(([child]) => Number(child));
}

/** One letter, as `ps` shows it: T stopped, Z ended and not collected. Undefined for one that is gone. */
export function stateOf(pid: number): string | undefined {
  return table().find(([each]) => Number(each) === pid)?.[2]?.[0];
}

export function isRunning(pid: number): boolean {
  const state = stateOf(pid);
  return state !== undefined && state !== 'Z';
}

function table(): string[][] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}
