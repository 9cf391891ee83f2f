import { withoutPassword } from './environment.ts';
import type { ServerControl } from './server-process.ts';

/** A server that is not this test's alone. */
export interface AttachedTo {
  readonly url: string;
  /** Whose it is, as the end of "This PostgreSQL is not this test's alone: …". */
  readonly because: string;
  readonly ca?: string | undefined;
}

/** Refuses what would hurt the server's other users. The base of the two real ones. */
export class AttachedServer implements ServerControl {
  readonly pid = undefined;
  readonly #name: 'PostgreSQL' | 'Redis';
  readonly #because: string;

  constructor(name: 'PostgreSQL' | 'Redis', because: string) {
    this.#name = name;
    this.#because = because;
  }

  async kill(): Promise<never> {
    throw this.refusal('kill()');
  }

  async restart(): Promise<never> {
    throw this.refusal('restart()');
  }

  async pause(): Promise<never> {
    throw this.refusal('pause()');
  }

  async resume(): Promise<never> {
    throw this.refusal('resume()');
  }

  async stop(): Promise<never> {
    throw this.refusal('stop()');
  }

  async log(): Promise<never> {
    throw this.refusal('log()');
  }

  protected refusal(what: string): Error {
    const starter = this.#name === 'Redis' ? 'redis' : 'postgres';
    return new Error(
      `${what}: this ${this.#name} is not this test's alone: ${this.#because}. Start one that is: ${starter}({ server: 'private' }).`,
    );
  }
}

/** Why a server that was named could not be used. */
export function unreachable(name: string, { url, because }: AttachedTo, cause: unknown): Error {
  return new Error(`The ${name} at ${withoutPassword(url)} cannot be used (${because}): ${reasonOf(cause)}`, { cause });
}

function reasonOf(error: unknown): string {
  // Where a name has several addresses, Node's error is a list of what each one said, with no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
