/**
 * Random programs: whatever they do, every task ends, every `finally` runs once, nothing is left waiting, no element is
 * lost, no limit is exceeded, and the same program twice does the same.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { execute, programs } from './support/random-program.ts';

/** AIOKIT_PROGRAMS=5000 looks longer; AIOKIT_SEED replays a failure. */
const numRuns = Number(process.env.AIOKIT_PROGRAMS ?? 300);
const seed = process.env.AIOKIT_SEED === undefined ? undefined : Number(process.env.AIOKIT_SEED);

it('random programs keep what must always hold, and do the same when they run again', async () => {
  const property = fc.asyncProperty(programs, async (program) => {
    const first = await execute(program);
    expect(first.broken).toEqual([]);
    const second = await execute(program);
    expect(second.trace).toEqual(first.trace);
  });
  await fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed }) });
}, 120_000);
