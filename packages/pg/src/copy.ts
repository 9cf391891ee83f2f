/** COPY as async iterables. */
import { once } from 'node:events';
import { until } from '@aiokit/core';
import { from, to } from 'pg-copy-streams';
import { finish, type Source } from './lease.ts';
import { type Statement, textAndValues } from './queries.ts';
import { adoptCopyIn, adoptCopyOut } from './submittables.ts';

/** See `Queries.copyTo`. */
export async function* copyTo(source: Source, statement: Statement<unknown>): AsyncGenerator<Buffer, void, undefined> {
  const text = textOnly(statement, 'copyTo');
  const lease = await source._lease();
  const { client } = lease;
  try {
    const stream = to(text);
    const call = adoptCopyOut(client, stream as never);
    client._submit(stream as never);
    try {
      for await (const chunk of stream) yield chunk as Buffer;
    } finally {
      // Left early, the rest is thrown away and the server stopped; an end that comes by itself is waited for, too.
      stream.destroy();
      await finish(client, () => call.settled());
    }
  } finally {
    await lease.release();
  }
}

/** See `Queries.copyFrom`. */
export async function copyFrom(
  source: Source,
  statement: Statement<unknown>,
  data: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
): Promise<number> {
  const text = textOnly(statement, 'copyFrom');
  const lease = await source._lease();
  const { client } = lease;
  try {
    const stream = from(text);
    stream.on('error', ignore); // Told by the call.
    const call = adoptCopyIn(client, stream as never);
    client._submit(stream as never);
    try {
      for await (const chunk of data) {
        if (call.done()) break; // The server has refused the rest.
        if (!stream.write(chunk)) await until(once(stream, 'drain'));
      }
      stream.end();
      await call;
    } catch (error) {
      stream.destroy(error as Error);
      await finish(client, () => call.settled());
      if (call.failure !== null) throw call.failure;
      throw error;
    }
    return stream.rowCount;
  } finally {
    await lease.release();
  }
}

function textOnly(statement: Statement<unknown>, method: string): string {
  const { text, values } = textAndValues(statement);
  if (values.length > 0) {
    throw new TypeError(`${method}: COPY takes no parameters. Write the values into the text with pg.escapeLiteral()`);
  }
  return text;
}

function ignore(): void {}
