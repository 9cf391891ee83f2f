/** Random intervals: a chain that can be asked anywhere. */
import { describe, expect, it } from 'vitest';
import { RandomSteps, seededDraw } from '../src/time/random.ts';

/** Every one to three seconds from 0, and how many steps were taken to say so. */
function chain() {
  const taken = { steps: 0 };
  const steps = new RandomSteps(0, 1, 3, seededDraw('x'), (from, count) => {
    taken.steps++;
    return from + count * 1_000;
  });
  return { steps, taken };
}

function links(count: number): number[] {
  const { steps } = chain();
  const found = [0];
  while (found.length < count) found.push(steps.after(found.at(-1) as number));
  return found;
}

describe('random steps', () => {
  it('are the same in whichever order they are asked for', () => {
    const all = links(300);
    const { steps } = chain();
    for (let i = 1; i < 300; i++) {
      const at = (i * 7_919) % (all.length - 1);
      const link = all[at] as number;
      expect(steps.after(link)).toBe(all[at + 1]);
      expect(steps.after((all[at + 1] as number) - 1)).toBe(all[at + 1]);
    }
    expect(steps.after(-1)).toBe(0);
  });

  it('after a look ahead do not go through the whole chain again', () => {
    const all = links(20_000);
    const { steps, taken } = chain();
    const [now, ahead] = [all[19_000] as number, all[19_050] as number];
    steps.after(now);
    steps.after(ahead);
    taken.steps = 0;
    expect(steps.after(now)).toBe(all[19_001]);
    expect(taken.steps).toBeLessThan(110);
    taken.steps = 0;
    expect(steps.after(all[10_000] as number)).toBe(all[10_001]);
    expect(taken.steps).toBeLessThan(20_000 - 10_000);
  });
});
