/** For the tests: what a program prints, and how long it takes, in virtual time. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { getRunningLoop, run } from '@aiokit/core';
import { VirtualClock } from '@aiokit/testing';
import type { Print } from './program.ts';

export interface Printed {
  readonly lines: string[];
  /** How long it took, in seconds of its clock. */
  readonly seconds: number;
}

/** Runs a program's main as a task, as the program does. */
export async function printed(main: (print: Print) => unknown): Promise<Printed> {
  const lines: string[] = [];
  return await run(
    async () => {
      const loop = getRunningLoop();
      const started = loop.time();
      await main((line) => lines.push(line));
      return { lines, seconds: (loop.time() - started) / 1_000 };
    },
    { clock: new VirtualClock(), handleSignals: false },
  );
}

/** As `printed`, for a main that makes a loop of its own. */
export async function printedByItself(main: (print: Print, options: object) => unknown): Promise<Printed> {
  const lines: string[] = [];
  const clock = new VirtualClock();
  const started = clock.now();
  await main((line) => lines.push(line), { clock, handleSignals: false });
  return { lines, seconds: (clock.now() - started) / 1_000 };
}

/** What a program prints when it is started, for those whose threads print. `name` as `npm run example` takes it. */
export async function printedByProgram(name: string): Promise<string[]> {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@aiokit/source', file]);
  return stdout.trimEnd().split('\n');
}

/** The seconds of a time of day, `'16:41:22'` say. */
export function secondsOf(time: string | undefined): number {
  const [hours = 0, minutes = 0, seconds = 0] = (/\d\d:\d\d:\d\d/.exec(time ?? '')?.[0] ?? '').split(':').map(Number);
  return (hours * 60 + minutes) * 60 + seconds;
}
