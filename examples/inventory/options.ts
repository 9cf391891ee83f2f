import { parseArgs } from 'node:util';
import { Problem } from './problem.ts';

export interface Options {
  /** How many packages to look at. */
  readonly packages: number;
  /** Decides which of the upstream server's answers misbehave. */
  readonly seed: number;
  /** Where the report is served; 0 for any free port. */
  readonly port: number;
}

const USAGE = `npm run demo -- [options]

  --packages <number>  how many packages to look at; all of them by default
  --seed <number>      which of the upstream server's answers are slow, fail or never come; 1 by default
  --port <number>      where the report is served (or PORT); any free port by default

DATABASE_URL and REDIS_URL name servers to use, in a database and under a prefix that are removed at the end.
Without them private ones are started.`;

/** @throws {Problem} for what it does not understand, and for --help */
export function parseOptions(args: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const { values } = parse(args);
  if (values.help) throw new Problem(USAGE);
  return {
    packages: integer('--packages', values.packages ?? '1000000', 1, 1_000_000),
    seed: integer('--seed', values.seed ?? '1', 0, 2 ** 31),
    port: integer('--port', values.port ?? environment.PORT ?? '0', 0, 65_535),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        packages: { type: 'string' },
        seed: { type: 'string' },
        port: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new Problem(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Problem(`${name} must be an integer from ${least} to ${most}, got "${text}".`);
}
