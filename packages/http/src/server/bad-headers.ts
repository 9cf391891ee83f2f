/** What Node lets pass, and a server must not. */
import type { NodeBindings } from './app.ts';

/** As the HTTP/2 specification counts: 32 bytes beside each name and value. */
const PER_FIELD = 32;

/** What the request must be answered with for its headers' sake; `null` if there is nothing wrong with them. */
export function statusOfBadHeaders(incoming: NodeBindings['incoming'], headerSize: number): 400 | 431 | null {
  if (incoming.httpVersionMajor < 2) return namesTwoHosts(incoming) ? 400 : null;
  return listSize(incoming) > headerSize ? 431 : null;
}

/** Node tells an HTTP/2 client of its limit, but does not hold it to that. */
function listSize({ rawHeaders }: NodeBindings['incoming']): number {
  let size = (rawHeaders.length / 2) * PER_FIELD;
  for (const text of rawHeaders) size += text.length;
  return size;
}

/**
 * Whether the client names two hosts. Node takes the first one; a proxy in front may have taken the other, and have let the
 * request pass for it. Must be answered with 400.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export function namesTwoHosts({ rawHeaders }: NodeBindings['incoming']): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts > 1;
}
