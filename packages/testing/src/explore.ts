import { checkFunction, checkInteger, checkOneOf, checkOptions } from './check.ts';
import { currentRun } from './current-run.ts';
import { ExplorationError } from './errors.ts';
import { type Choice, formatOrder, parseOrder, type What } from './order.ts';
import { type RunTestOptions, runTest } from './run-test.ts';
import { fifo, pct, random, replaying, type Strategy, type StrategyName } from './strategies.ts';
import type { TestContext } from './test-context.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface ExploreOptions extends Omit<RunTestOptions, 'live' | 'clock'> {
  /** How many orders to try. Default: 100, or as many as there are `seeds`. */
  runs?: number | undefined;
  /** The first seed, or all of them. Default: 1. Run n has seed `first + n`. */
  seeds?: number | readonly number[] | undefined;
  /** `'random'`; `'pct'`, few switches at random places; `'fifo'`, the usual order, once. Default: both of the first in turns. */
  strategy?: StrategyName | undefined;
  /** For `'pct'`: how many switches. Default: 3. */
  depth?: number | undefined;
  /** The order that a failure printed: one run in this order. */
  replay?: string | undefined;
}

/** What `explore` resolves to. */
export interface Explored {
  /** How many runs there were. */
  readonly runs: number;
  /** How many different orders. */
  readonly orders: number;
  /** The most choices that a run had. */
  readonly choices: number;
}

/** Runs for making a failing order smaller. */
const SHRINKING = 100;

/**
 * Runs a test again and again, each time in another order of what may happen in any order: which task starts first, which of
 * the timers of one instant fires first, which of the tasks that were woken goes on first. Who is first in a line (a queue, a
 * lock) stays first. The first run is in the usual order.
 *
 * A failure is run again in the same order; then the order is made smaller, until hardly a choice other than the usual one is
 * left; and printed, to be given as `replay`.
 *
 * Each run is a test of its own, also when a test calls this: that one's time stands meanwhile, and its limit in real time
 * holds for all runs together.
 *
 * Chains of native promises cannot be reordered, nor what servers and the real clock decide: where those decide the outcome,
 * the failure says that it could not be replayed.
 *
 * @param body the test. It must begin from nothing each time.
 * @throws {@link ExplorationError} with the failure as `cause`, the seed and the replay string.
 *
 * @example
 * ```ts
 * test('transfers never lose money', () =>
 *   explore(
 *     async () => {
 *       const bank = new Bank({ a: 100, b: 0 });
 *       await gather([() => bank.transfer('a', 'b', 60), () => bank.transfer('a', 'b', 60)]);
 *       expect(bank.total()).toBe(100);
 *     },
 *     { runs: 200 },
 *   ));
 * ```
 */
export async function explore(
  body: (context: TestContext) => unknown,
  options: ExploreOptions = {},
): Promise<Explored> {
  checkFunction(body, 'body');
  checkOptions(options, 'options');
  const { seeds = 1, strategy, depth = 3, replay, runs, ...rest } = options;
  if (runs !== undefined) checkInteger(runs, 'options.runs', 1);
  if (strategy !== undefined) checkOneOf(strategy, 'options.strategy', ['fifo', 'random', 'pct']);
  checkInteger(depth, 'options.depth', 0);
  if (Array.isArray(seeds)) checkInteger(seeds.length, 'options.seeds.length', 1);
  for (const seed of [seeds].flat()) checkInteger(seed, 'options.seeds', 0);
  const exploration = new Exploration(body, rest);
  const search = () => (replay === undefined ? exploration.searchAll(options) : exploration.replay(replay));
  const outer = currentRun();
  return outer === null ? search() : outer.outside(search);
}

interface Run {
  readonly order: Choice[];
  readonly failure: { readonly error: unknown } | null;
}

class Exploration {
  private readonly body: (context: TestContext) => unknown;
  private readonly options: RunTestOptions;
  private readonly seen = new Set<string>();
  private runs = 0;
  private choices = 0;

  constructor(body: (context: TestContext) => unknown, options: RunTestOptions) {
    this.body = body;
    this.options = options;
  }

  private get explored(): Explored {
    return { runs: this.runs, orders: this.seen.size, choices: this.choices };
  }

  async searchAll({ seeds = 1, strategy, depth = 3, runs }: ExploreOptions): Promise<Explored> {
    const list = typeof seeds === 'number' ? null : seeds;
    const count = strategy === 'fifo' ? 1 : (runs ?? list?.length ?? 100);
    for (let n = 0; n < count; n++) {
      const seed = list === null ? (seeds as number) + n : (list[n % list.length] as number);
      const name = n === 0 && list === null ? 'fifo' : (strategy ?? (n % 2 === 0 ? 'random' : 'pct'));
      const chosen = name === 'fifo' ? fifo : name === 'random' ? random(seed) : pct(seed, depth, this.choices);
      await this.search(chosen, `run ${n + 1} of ${count} (${name}, seed ${seed})`);
    }
    return this.explored;
  }

  private async search(strategy: Strategy, where: string): Promise<void> {
    const { order, failure } = await this.run(strategy);
    if (failure === null) return;
    const again = await this.follow(order);
    if (again.failure === null || again.diverged) {
      throw new ExplorationError(
        `${headline(where, failure.error)}\nIt could not be replayed: something outside decided the order, too. ` +
          'A real server, the real clock, Math.random, or state that is left from run to run?',
        { seed: where, replay: formatOrder(order), cause: failure.error },
      );
    }
    const smallest = await this.shrink(order);
    const replay = formatOrder(smallest.order);
    const left = smallest.order.filter(({ index }) => index > 0).length;
    throw new ExplorationError(
      `${headline(where, smallest.failure?.error)}\nReplay it with explore(body, { replay: '${replay}' }): ` +
        `${left} choice(s) other than the usual one, of ${order.filter(({ index }) => index > 0).length} before shrinking.`,
      { seed: where, replay, cause: smallest.failure?.error },
    );
  }

  async replay(text: string): Promise<Explored> {
    const { failure, diverged } = await this.follow(parseOrder(text));
    if (failure !== null) {
      const note = diverged ? '\nThe choices were others than when it was recorded.' : '';
      throw new ExplorationError(headline('the replay', failure.error) + note, {
        seed: 'replay',
        replay: text,
        cause: failure.error,
      });
    }
    if (diverged) {
      throw new ExplorationError(
        'The replay ended well, but the choices were others than when it was recorded: the test has changed since, or ' +
          'something outside decides the order, too.',
        { seed: 'replay', replay: text },
      );
    }
    return this.explored;
  }

  /** Puts the usual choice in place of others, in halves, quarters, … one by one, as long as the test goes on failing. */
  private async shrink(order: Choice[]): Promise<Run> {
    let best: Run = await this.follow(order);
    let tries = SHRINKING;
    for (let size = Math.ceil(order.length / 2); size >= 1 && tries > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < best.order.length && tries > 0; from += size) {
        const tried = best.order.map((choice, at) =>
          at >= from && at < from + size ? { ...choice, index: 0 } : choice,
        );
        if (formatOrder(tried) === formatOrder(best.order)) continue;
        tries--;
        const run = await this.follow(tried);
        if (run.failure !== null && formatOrder(run.order).length <= formatOrder(best.order).length) best = run;
      }
    }
    return best;
  }

  private async follow(order: readonly Choice[]): Promise<Run & { diverged: boolean }> {
    let diverged = false;
    const run = await this.run(
      replaying(order, () => {
        diverged = true;
      }),
    );
    return { ...run, diverged };
  }

  private async run(strategy: Strategy): Promise<Run> {
    const order: Choice[] = [];
    const clock = new VirtualClock(this.options);
    clock.pick = (ready, what: What) => {
      const index = strategy(ready, what, order.length);
      order.push({ what, size: ready.length, index });
      return index;
    };
    this.runs++;
    let failure: Run['failure'] = null;
    try {
      await runTest(this.body, { ...this.options, clock });
    } catch (error) {
      failure = { error };
    }
    this.seen.add(formatOrder(order));
    this.choices = Math.max(this.choices, order.length);
    return { order, failure };
  }
}

function headline(where: string, error: unknown): string {
  return `Failed in ${where}: ${error instanceof Error ? error.message : String(error)}`;
}
