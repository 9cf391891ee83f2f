import { isCancelled } from '@aiokit/core';

/** Something to be put right outside of the program: its message is all that is shown. */
export class Problem extends Error {
  override readonly name = 'Problem';
}

/** Runs `body`; what goes wrong in it is a {@link Problem}: `what`, the error's message, `advice`. */
export async function problemIfFails<T>(what: string, body: () => Promise<T>, advice = ''): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw new Problem(`${what}${messageOf(error)}\n${advice}`.trimEnd(), { cause: error });
  }
}

function messageOf(error: unknown): string {
  // Where a name has several addresses, Node's error is a list of what each one said, with no message of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error instanceof Error ? error.message : String(error);
}
