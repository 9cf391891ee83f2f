/**
 * Random programs, the same for a seed for ever.
 *
 * They stay where asyncio's documentation decides what happens: every op that acts on others comes after a sleep whose
 * length occurs only once, so that two things never happen at one instant by chance; a task is awaited by at most one other
 * (a cancel of one of several waiters spares the others here: design, section 3); and only tasks made later are awaited.
 */

export type Op =
  | [op: 'sleep', ms: number]
  | [op: 'throw', text: string]
  | [op: 'leave', value: number]
  | [op: 'spawn', id: string, body: Op[]]
  | [op: 'join' | 'shield' | 'cancel', id: string]
  | [op: 'attempt', body: Op[], catching: ('cancel' | 'error')[], handler: Op[], cleanup: Op[]]
  | [op: 'timeout' | 'wait_for', ms: number, body: Op[]]
  | [op: 'gather', bodies: Op[][], returnExceptions: boolean]
  | [op: 'wait', bodies: Op[][], timeout: number, returnWhen: 'ALL_COMPLETED' | 'FIRST_COMPLETED' | 'FIRST_EXCEPTION']
  | [op: 'as_completed', bodies: Op[][]]
  | [op: 'group', bodies: Op[][], body: Op[]]
  | [op: 'all', branches: [ms: number, limit: number | null][]]
  | [op: 'until', ms: number, fails: boolean]
  | [op: 'abortable', ms: number]
  | [op: 'limited', bodies: Op[][], limit: number, returnExceptions: boolean]
  | [op: 'put', item: number]
  | [op: 'locked', which: 'lock' | 'semaphore', body: Op[]]
  | [op: 'notify', count: number]
  | [op: 'cancelling' | 'get' | 'set' | 'clear' | 'pass_event' | 'notified' | 'meet'];

export interface Program {
  readonly id: string;
  readonly main: readonly Op[];
}

export function* programs(seed: number, count: number): Generator<Program> {
  for (let i = 0; i < count; i++) {
    yield { id: `${seed}/${i}`, main: new Author(seed * 1_000_003 + i).main() };
  }
}

class Author {
  private readonly random: () => number;
  private readonly used = new Set<number>();
  private ops = 25;
  private made = 0;
  /** Every task, to be cancelled from anywhere. */
  private readonly known: string[] = [];

  constructor(seed: number) {
    this.random = mulberry32(seed);
    this.ops += this.below(50);
  }

  main(): Op[] {
    const ops: Op[] = [];
    const own: string[] = [];
    while (this.ops > 0) ops.push(...this.op(0, own));
    return ops;
  }

  /** `own`: the tasks made in the same function, each of which may be joined once in it. */
  private body(depth: number, own: string[] = []): Op[] {
    const ops: Op[] = [['sleep', this.ms()]];
    for (let left = 1 + this.below(4); left > 0; left--) ops.push(...this.op(depth, own));
    if (this.below(6) === 0) ops.push(['leave', this.below(100)]);
    else if (this.below(9) === 0) ops.push(['throw', `x${this.below(100)}`]);
    return ops;
  }

  private op(depth: number, own: string[]): Op[] {
    this.ops--;
    const nap = (): Op => ['sleep', this.ms()];
    if (this.ops < 0 || depth > 4) return [nap()];
    const inner = () => this.body(depth + 1, own);
    const fresh = () => this.body(depth + 1);
    const bodies = () => Array.from({ length: 1 + this.below(3) }, fresh);
    const choices: [weight: number, make: () => Op[]][] = [
      [2, () => [nap()]],
      [6, () => this.spawn(fresh, own)],
      [
        5,
        () => (own.length === 0 ? [nap()] : [nap(), [this.pick(['join', 'join', 'shield'] as const), this.take(own)]]),
      ],
      [6, () => (this.known.length === 0 ? [nap()] : [nap(), ['cancel', this.pick(this.known)]])],
      [2, () => [nap(), ['cancelling']]],
      [6, () => [this.attempt(inner)]],
      [5, () => [['timeout', this.ms(), inner()]]],
      [3, () => [['wait_for', this.ms(), inner()]]],
      [3, () => [['gather', bodies(), this.below(2) === 0]]],
      [
        3,
        () => [
          ['wait', bodies(), this.ms(), this.pick(['ALL_COMPLETED', 'FIRST_COMPLETED', 'FIRST_EXCEPTION'] as const)],
        ],
      ],
      [2, () => [['as_completed', bodies()]]],
      [4, () => [['group', bodies(), inner()]]],
      [3, () => [['all', Array.from({ length: 1 + this.below(3) }, () => this.branch())]]],
      [2, () => [['until', this.ms(), this.below(3) === 0]]],
      [2, () => [['abortable', this.ms()]]],
      [2, () => [['limited', [...bodies(), ...bodies()], 1 + this.below(2), this.below(2) === 0]]],
      [4, () => [nap(), ['put', this.below(100)]]],
      [4, () => [nap(), ['get']]],
      [
        3,
        () => [nap(), ['locked', this.pick(['lock', 'semaphore'] as const), [['sleep', this.ms()], ...inner()]], nap()],
      ],
      [2, () => [nap(), [this.pick(['set', 'clear'] as const)]]],
      [2, () => [nap(), ['pass_event']]],
      [1, () => [nap(), ['notified']]],
      [2, () => [nap(), ['notify', 1]]],
      [1, () => [nap(), ['meet']]],
    ];
    let at = this.below(choices.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, make] of choices) {
      at -= weight;
      if (at < 0) return make();
    }
    return [nap()];
  }

  private spawn(body: () => Op[], own: string[]): Op[] {
    const id = `t${this.made++}`;
    const ops = body();
    own.push(id);
    this.known.push(id);
    return [['spawn', id, ops]];
  }

  private attempt(body: () => Op[]): Op {
    const catching = this.pick<('cancel' | 'error')[]>([[], ['cancel'], ['error'], ['error'], ['cancel', 'error']]);
    const handler: Op[] = this.below(2) === 0 ? [['sleep', this.ms()]] : [];
    const cleanup: Op[] = this.below(3) === 0 ? [['sleep', this.ms()]] : [];
    return ['attempt', body(), catching, handler, cleanup];
  }

  /** One of several waits in one function: a sleep, or one with a timeout of its own. */
  private branch(): [ms: number, limit: number | null] {
    return [this.ms(), this.below(2) === 0 ? this.ms() : null];
  }

  /** A duration that no other op of the program has. */
  private ms(): number {
    for (;;) {
      const ms = 1 + this.below(1_000_000);
      if (this.used.has(ms)) continue;
      this.used.add(ms);
      return ms;
    }
  }

  private take(from: string[]): string {
    return from.splice(this.below(from.length), 1)[0] as string;
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit);
  }
}

/** A small generator of random numbers with a seed: https://github.com/cprosche/mulberry32 */
function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
