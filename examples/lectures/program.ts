/** What the programs of the lecture notes share. */
import { realpathSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { getRunningLoop } from '@aiokit/core';

/** Where a program prints: the console, or a test's list of lines. */
export type Print = (line: string) => void;

/** Whether this file was started, and not imported by a test or a worker. (`import.meta.main`, on Node 22 as well.) */
export function isProgram(meta: ImportMeta): boolean {
  return isMainThread && process.argv[1] !== undefined && realpathSync(process.argv[1]) === meta.filename;
}

/** The time of day, as Python's `time.strftime('%X')`. */
export function timeOfDay(): string {
  return new Date(getRunningLoop().clock.wallTime()).toTimeString().slice(0, 8);
}
