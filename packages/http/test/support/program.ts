import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { eventually } from './eventually.ts';

export const programFile = (name: string) => fileURLToPath(new URL(`../programs/${name}`, import.meta.url));

export interface Program {
  readonly child: ChildProcess;
  /** All that it and its workers have printed. */
  output(): string;
  matches(pattern: RegExp): RegExpExecArray[];
  /** Its code, and its signal. */
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;
  /** Waits until nobody can print any more: its workers have ended, too. */
  readonly closed: Promise<unknown>;
  until(pattern: RegExp, times?: number): Promise<void>;
}

/** A Node program of its own, in a process group of its own. */
export function startProgram(...args: string[]): Program {
  const child = spawn(process.execPath, ['--conditions=@aiokit/source', ...args], { detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
    });
  }
  const matches = (pattern: RegExp) => [...output.matchAll(new RegExp(pattern, 'g'))];
  return {
    child,
    output: () => output,
    matches,
    exited: once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
    closed: once(child, 'close'),
    until: (pattern, times = 1) =>
      eventually(() => expect(matches(pattern).length, output).toBeGreaterThanOrEqual(times)),
  };
}

/** Ends it and all of its workers. */
export function killProgram({ child }: Program): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch {
    // All have ended.
  }
}

/** Asks on a connection of its own. */
export const ask = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text();
