/**
 * One order of things that may happen in any order: what was chosen, each time that there was a choice, and what there was
 * to choose from, so that a replay notices when something outside has changed the choices.
 */
import { shown } from './check.ts';

export type What = 'start' | 'timer' | 'yield' | 'deliver';

/** Among `size` things of a kind the one at `index` came first. */
export interface Choice {
  readonly what: What;
  readonly size: number;
  readonly index: number;
}

const LETTERS: Record<What, string> = { start: 's', timer: 't', yield: 'y', deliver: 'd' };
const KINDS = Object.fromEntries(Object.entries(LETTERS).map(([what, letter]) => [letter, what])) as Record<
  string,
  What
>;

/** Such as `s3.1-t2.0`: of three tasks the second started first, of two timers the first. What follows is first come, first served. */
export function formatOrder(order: readonly Choice[]): string {
  const last = order.findLastIndex(({ index }) => index > 0);
  return order
    .slice(0, last + 1)
    .map(({ what, size, index }) => `${LETTERS[what]}${size}.${index}`)
    .join('-');
}

/** @throws `TypeError` if the text is none of `formatOrder`'s. */
export function parseOrder(text: string): Choice[] {
  if (text === '') return [];
  return text.split('-').map((part) => {
    const match = /^([styd])(\d+)\.(\d+)$/.exec(part);
    if (match === null) throw new TypeError(`options.replay must be what a failure printed, got ${shown(text)}`);
    return { what: KINDS[match[1] as string] as What, size: Number(match[2]), index: Number(match[3]) };
  });
}
