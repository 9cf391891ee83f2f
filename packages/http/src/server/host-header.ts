import type { NodeBindings } from './app.ts';

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
