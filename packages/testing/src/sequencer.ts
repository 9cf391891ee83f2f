import { Future, InvalidStateError } from '@aiokit/core';
import { shown } from './check.ts';

/**
 * Brings pieces of several tasks into one order: a step begins when all steps with lower numbers have ended.
 *
 * If a step is cancelled while it waits, its order can never come about: the steps after it fail.
 *
 * @example
 * ```ts
 * const sequencer = new Sequencer();
 * createTask(async () => {
 *   using _first = await sequencer.step(0);
 *   using _third = await sequencer.step(2);
 * });
 * using _second = await sequencer.step(1);
 * ```
 *
 * @see https://trio.readthedocs.io/en/stable/reference-testing.html#trio.testing.Sequencer
 */
export class Sequencer {
  private next = 0;
  private readonly taken = new Set<number>();
  private readonly waiting = new Map<number, Future<void>>();
  private broken: InvalidStateError | null = null;

  /**
   * Waits for the steps before it. The step ends when what is returned is disposed of.
   *
   * A cancel breaks the sequence.
   *
   * @param position 0, 1, 2, …; each once.
   * @throws `InvalidStateError` if the position was taken, or a step was cancelled; `RangeError` for a bad position.
   */
  async step(position: number): Promise<Disposable> {
    if (!Number.isInteger(position) || position < 0) {
      throw new RangeError(`position must be an integer >= 0, got ${shown(position)}`);
    }
    if (this.taken.has(position)) throw new InvalidStateError(`step(${position}) of a Sequencer a second time`);
    this.taken.add(position);
    if (this.broken !== null) throw this.broken;
    if (position !== this.next) await this.turnOf(position);
    return { [Symbol.dispose]: () => this.end(position) };
  }

  private async turnOf(position: number): Promise<void> {
    const turn = new Future<void>();
    this.waiting.set(position, turn);
    try {
      await turn;
    } catch (error) {
      this.break(position);
      throw error;
    }
  }

  private end(position: number): void {
    if (position !== this.next) return; // Disposed of before.
    this.next++;
    const turn = this.waiting.get(this.next);
    this.waiting.delete(this.next);
    turn?.setResult();
  }

  private break(position: number): void {
    this.waiting.delete(position);
    this.broken ??= new InvalidStateError(
      `Step ${position} of a Sequencer was cancelled: the steps after it never come`,
    );
    for (const turn of this.waiting.values()) if (!turn.done()) turn.setException(this.broken);
    this.waiting.clear();
  }
}
