/** Which commands block, and where each keeps its limit. */

/** Where the limit is: the last argument, one from the start, or the number after BLOCK. */
interface Shape {
  readonly place: 'last' | 'block' | number;
  readonly unit: 's' | 'ms';
}

const LAST: Shape = { place: 'last', unit: 's' };
const FIRST: Shape = { place: 0, unit: 's' };
const OPTION: Shape = { place: 'block', unit: 'ms' };

const SHAPES: ReadonlyMap<string, Shape> = new Map([
  ['blpop', LAST],
  ['brpop', LAST],
  ['brpoplpush', LAST],
  ['blmove', LAST],
  ['bzpopmin', LAST],
  ['bzpopmax', LAST],
  ['blmpop', FIRST],
  ['bzmpop', FIRST],
  ['blmovem', { place: 4, unit: 's' }],
  ['xread', OPTION],
  ['xreadgroup', OPTION],
]);

/** Whether the command of this name can block. */
export function mayBlock(name: string): boolean {
  return SHAPES.has(name.toLowerCase());
}

/** A command that blocks on the server, taken apart. */
export class BlockingCommand {
  readonly name: string;
  /** How long the server shall wait, in ms; 0 for ever. */
  readonly limit: number;
  private readonly args: readonly unknown[];
  private readonly index: number;
  private readonly unit: Shape['unit'];

  private constructor(name: string, args: readonly unknown[], index: number, unit: Shape['unit']) {
    this.name = name;
    this.args = args;
    this.index = index;
    this.unit = unit;
    this.limit = Number(String(args[index])) * (unit === 's' ? 1000 : 1);
  }

  /** @returns null for a command that does not block, or whose limit is no number: the server has the word then. */
  static parse(name: string, args: readonly unknown[]): BlockingCommand | null {
    const lower = name.toLowerCase();
    const shape = SHAPES.get(lower);
    if (shape === undefined) return null;
    const flat = args.flat(); // As ioredis does.
    const index = placeIn(flat, shape.place);
    if (index === null || index < 0 || index >= flat.length) return null;
    const command = new BlockingCommand(lower, flat, index, shape.unit);
    return command.limit >= 0 && command.limit < Infinity ? command : null;
  }

  /** The arguments with another limit, in ms; 0 for ever. Rounded up to whole units, which every version understands. */
  withLimit(ms: number): unknown[] {
    if (ms === this.limit) return [...this.args];
    return this.args.with(this.index, Math.ceil(this.unit === 's' ? ms / 1000 : ms));
  }

  describe(): string {
    const shown = this.args.map((arg) => (Buffer.isBuffer(arg) ? arg.toString('latin1') : String(arg))).join(' ');
    return `${this.name.toUpperCase()} ${shown.length > 60 ? `${shown.slice(0, 57)}...` : shown}`;
  }
}

function placeIn(args: readonly unknown[], place: Shape['place']): number | null {
  if (place === 'last') return args.length - 1;
  if (place !== 'block') return place;
  // XREADGROUP GROUP <group> <consumer>: a consumer may be called BLOCK.
  for (let i = is(args[0], 'GROUP') ? 3 : 0; i < args.length; i++) {
    if (is(args[i], 'STREAMS')) return null;
    if (is(args[i], 'BLOCK')) return i + 1;
  }
  return null;
}

function is(arg: unknown, word: string): boolean {
  return (typeof arg === 'string' || Buffer.isBuffer(arg)) && String(arg).toUpperCase() === word;
}
