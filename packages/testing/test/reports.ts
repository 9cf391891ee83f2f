/** The places at which the packages report what they wait for, and how to take one of them away. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getRunningLoop, type Operation } from '@aiokit/core';

const packages = join(import.meta.dirname, '../..');
const CALL = /(?<!function )\btrackIO\(/;

/** One call of `trackIO`. */
export interface Report {
  /** Such as `pg/src/listen.ts 2`: the second one in that file. */
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

/** Every call of `trackIO` in the sources of all packages. */
export function findReports(): Report[] {
  return globSync('*/src/**/*.ts', { cwd: packages })
    .sort()
    .flatMap((path) => {
      const file = path.replaceAll('\\', '/');
      const lines = readFileSync(join(packages, path), 'utf8').split('\n');
      const found = lines.flatMap((text, at) => (CALL.test(text) && !/^\s*(\*|\/\/)/.test(text) ? [at + 1] : []));
      return found.map((line, n) => ({ name: found.length === 1 ? file : `${file} ${n + 1}`, file, line }));
    });
}

/** Hides what this report says from the clock of the running loop. */
export function remove(report: Report): void {
  const loop = getRunningLoop() as unknown as { _track(kind: string, options?: object): Operation };
  const track = loop._track.bind(loop);
  loop._track = (kind, options) =>
    isAt(report, new Error().stack ?? '') ? ({ kind, end() {} } as Operation) : track(kind, options);
}

/** The caller of `trackIO` is the frame after it. */
function isAt({ file, line }: Report, stack: string): boolean {
  const frames = stack.split('\n');
  const caller = frames[frames.findIndex((frame) => frame.includes('trackIO')) + 1] ?? '';
  return caller.replaceAll('\\', '/').includes(`${file}:${line}:`);
}
