/** Python's schedule beside ours: the same chains at the same moments, its answers from running it (schedule-1.2.2.txt). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Job, Scheduler } from '../src/index.ts';
import { virtually } from './virtually.ts';

interface Answer {
  now: string;
  chain: string;
  runs: string[];
}

const ANSWERS: Answer[] = readFileSync(new URL('schedule-1.2.2.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [now, chain, runs] = line.split(' | ') as [string, string, string];
    return { now, chain, runs: runs.split(' ') };
  });

/** Builds what the text says, without running text as code. */
function build(scheduler: Scheduler, chain: string): Job {
  const [, interval, unit, time, zone] = /^every\((\d*)\)\.(\w+)(?:\.at\('([\d:]+)'(?:, '(.+)')?\))?$/.exec(
    chain,
  ) as RegExpExecArray;
  const job = scheduler.every(interval === '' ? 1 : Number(interval))[unit as 'seconds'];
  return (time === undefined ? job : job.at(time, zone)).do(() => {});
}

async function ours({ now, chain, runs }: Answer): Promise<string[]> {
  return await virtually(() => {
    const preview = build(new Scheduler({ timeZone: 'UTC' }), chain).preview(runs.length);
    return preview.map((date) => date.toISOString().slice(0, 19));
  }, `${now}Z`);
}

describe("Python's schedule 1.2.2", () => {
  it('has the same next runs, over changes of the clocks, too', async () => {
    expect(ANSWERS.length).toBeGreaterThan(300);
    const different: string[] = [];
    for (const answer of ANSWERS) {
      const runs = await ours(answer);
      if (runs.join() !== answer.runs.join()) different.push(`${answer.now} ${answer.chain}`);
    }
    expect(different).toEqual([]);
  });

  // Where it errs, which is 20 in 6,000 random chains: its arithmetic on local time near a change of the clocks.
  it.each<[string, Answer, string[]]>([
    [
      'after a time in a gap it ran an hour or two early the next time, and again at the right one',
      {
        now: '2024-03-29T06:29:59',
        chain: "every().sunday.at('01:30:34', 'Europe/London')",
        runs: ['2024-03-31T01:30:34', '2024-04-06T23:30:34', '2024-04-07T00:30:34'],
      },
      ['2024-03-31T01:30:34', '2024-04-07T00:30:34', '2024-04-14T00:30:34'],
    ],
    [
      'five hours from within a fold, or over it, were six',
      {
        now: '2024-10-26T20:13:08',
        chain: "every(5).hours.at(':52', 'Europe/Berlin')",
        runs: ['2024-10-27T02:52:00', '2024-10-27T07:52:00'],
      },
      ['2024-10-27T01:52:00', '2024-10-27T06:52:00'],
    ],
    [
      'forty-five days from a time in a gap on were an hour short',
      {
        now: '2025-01-23T07:12:08',
        chain: "every(45).days.at('02:12:08', 'America/New_York')",
        runs: ['2025-03-09T07:12:08', '2025-04-23T05:12:08', '2025-06-07T06:12:08'],
      },
      ['2025-03-09T07:12:08', '2025-04-23T06:12:08', '2025-06-07T06:12:08'],
    ],
  ])('%s', async (_, answer, expected) => {
    const runs = await ours(answer);
    expect(runs).toEqual(expected);
    expect(runs).not.toEqual(answer.runs);
  });
});
