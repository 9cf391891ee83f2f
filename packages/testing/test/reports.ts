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
  watch((begin, caller) => (caller === placeOf(report) ? { kind: 'removed', end() {} } : begin()));
}

/** Collects the reports that are made on the running loop. */
export function collect(reports: readonly Report[], into: Set<Report>): void {
  watch((begin, caller) => {
    const report = reports.find((each) => placeOf(each) === caller);
    if (report !== undefined) into.add(report);
    return begin();
  });
}

type Operations = Pick<Operation, 'kind' | 'end'>;

function watch(track: (begin: () => Operations, caller: string | undefined) => Operations): void {
  const loop = getRunningLoop() as unknown as { _track(kind: string, options?: object): Operations };
  const original = loop._track.bind(loop);
  loop._track = (kind, options) => track(() => original(kind, options), callerIn(new Error().stack ?? ''));
}

function placeOf({ file, line }: Report): string {
  return `${file}:${line}`;
}

/** The caller of `trackIO` is the frame after it. */
function callerIn(stack: string): string | undefined {
  const frames = stack.replaceAll('\\', '/').split('\n');
  const caller = frames[frames.findIndex((frame) => frame.includes('trackIO')) + 1];
  return caller?.match(/packages\/(\w+\/src\/.*:\d+):\d+/)?.[1];
}
