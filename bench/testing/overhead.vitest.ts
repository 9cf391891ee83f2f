/** CPU time of a test that does nothing: vitest's own, and ours, in turns. */
import { test as virtual } from '@aiokit/testing/vitest';
import { afterAll, beforeAll, describe, test as plain } from 'vitest';

const ROUNDS = 20;
const TESTS = 100;

/** In ms of CPU per test, one for each round. */
const measured = { plain: [] as number[], virtual: [] as number[] };

for (let round = 0; round < ROUNDS; round++) {
  for (const kind of ['plain', 'virtual'] as const) {
    describe(`${kind} ${round}`, () => {
      let before: NodeJS.CpuUsage;
      beforeAll(() => {
        before = process.cpuUsage();
      });
      afterAll(() => {
        const { user, system } = process.cpuUsage(before);
        measured[kind].push((user + system) / 1_000 / TESTS);
      });
      for (let n = 0; n < TESTS; n++) {
        if (kind === 'plain') plain(`${n}`, async () => {});
        else virtual(`${n}`, async () => {});
      }
    });
  }
}

afterAll(() => {
  const [theirs, ours] = [median(measured.plain), median(measured.virtual)];
  console.log(
    `> a test that does nothing: vitest ${theirs.toFixed(2)} ms of CPU, in virtual time ${ours.toFixed(2)}: ${(ours - theirs).toFixed(2)} more`,
  );
});

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
