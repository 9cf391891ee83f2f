/** HTTP/2 by hand, for what Node's own client does not send. */

/** What a client sends first: that it speaks HTTP/2, and its settings (each an id of 2 bytes and a value of 4). */
export function preface(settings: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, settings)]);
}

/** A frame of HTTP/2. @see https://www.rfc-editor.org/rfc/rfc9113#section-4.1 */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The headers of a request, none of them compressed. */
export function headerBlock(method: string, path: string, more: Record<string, string> = {}): Buffer {
  const all = { ':method': method, ':path': path, ':scheme': 'http', ':authority': 'x', ...more };
  const literal = (text: string) => Buffer.concat([Buffer.of(text.length), Buffer.from(text)]);
  return Buffer.concat(
    Object.entries(all).map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])),
  );
}
