import { decoderFor } from './charset.ts';

/** Splits bytes into lines at `\n`, `\r\n` or `\r`, whatever the pieces; a last line without an end counts, too. */
export async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
  charset = 'utf-8',
): AsyncGenerator<string, void, undefined> {
  const decoder = decoderFor(charset);
  let rest = '';
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    // A `\r` at the end of a piece may be half of a `\r\n`: it waits for the next one.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() as string;
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest.endsWith('\r') ? rest.slice(0, -1) : rest;
}
