import { TextDecoder } from 'node:util';

/** The one that a `content-type` names. */
export function charsetOf(contentType: string | undefined): string {
  return /;\s*charset="?([^",;\s]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase() ?? 'utf-8';
}

export function decode(bytes: Buffer, contentType: string | undefined): string {
  const charset = charsetOf(contentType);
  if (charset !== 'utf-8' && charset !== 'utf8') return decoderFor(charset).decode(bytes);
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasMark ? 3 : 0);
}

/** UTF-8 in the place of a charset that nobody knows: the bytes are all there is. */
export function decoderFor(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}
